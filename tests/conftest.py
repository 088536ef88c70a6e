"""Settings that every test shares."""

from hypothesis import settings

# a busy machine is no failure: timings belong to the benchmarks
settings.register_profile("paretoscope", deadline=None, print_blob=True)
settings.load_profile("paretoscope")
