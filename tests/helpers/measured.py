"""Measurements made up for tests: a machine whose physics is known exactly."""

from core.model.architecture import Architecture, rounded_ffn
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement

DEVICE = Device("cpu", "Test machine", 16 * 2**30)


def shape(n_layers, d_model, d_head=32, vocab_size=50432, d_ff=None):
    heads = d_model // d_head
    return Architecture(
        n_layers, d_model, heads, heads, d_head, d_ff or rounded_ffn(d_model), vocab_size
    )


def true_tpot(a, workload, runtime):
    """0.1 ms fixed, 0.05 ms a layer, weights and cache read at 20 GB/s."""
    read = a.decode_bytes(
        workload.mean_context, workload.batch, runtime.weight_bytes, runtime.cache_bytes
    )
    return 1e-4 + 5e-5 * a.n_layers + read / 20e9


def true_ttft(a, workload, runtime):
    """The same fixed costs, FLOPs at 100 GFLOP/s."""
    flops = a.prefill_flops(workload.prompt_tokens, workload.batch)
    return 1e-4 + 5e-5 * a.n_layers + flops / 100e9


def measured(a, workload=None, runtime=None, device=DEVICE, scatter=0.002, **fields):
    workload, runtime = workload or Workload(), runtime or Runtime()
    tpot, ttft = true_tpot(a, workload, runtime), true_ttft(a, workload, runtime)
    wave = (1 - scatter, 1.0, 1 + scatter)
    samples = {
        "ttft": tuple((ttft * w,) for w in (*wave, *wave)),
        "tpot": tuple((tpot * w,) * (workload.output_tokens - 1) for w in (*wave, *wave)),
        "e2e": tuple((ttft * w + (workload.output_tokens - 1) * tpot * w,) for w in (*wave, *wave)),
    }
    defaults = {
        "samples": samples,
        "memory_bytes": {"peak_allocated": int(a.params_total * runtime.weight_bytes * 1.1)},
        "environment": {"torch": "2.13.0"},
        "started_at": "2026-11-21T08:00:00+00:00",
    }
    return Measurement(a, workload, runtime, device, **(defaults | fields))
