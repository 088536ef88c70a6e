"""Published shapes, random shapes, and what transformers builds from a config."""

from hypothesis import strategies as st

from core.model.architecture import SWITCHES, Architecture

LLAMA_2_7B = Architecture(32, 4096, 32, 32, 128, 11008, 32000)
LLAMA_31_8B = Architecture(32, 4096, 32, 8, 128, 14336, 128256)
QWEN_25_05B = Architecture(24, 896, 14, 2, 64, 4864, 151936, tied_embeddings=True, qkv_bias=True)


shapes = st.builds(
    lambda layers, width, kv, group, half, ff, vocab, switches: Architecture(
        layers,
        width,
        kv * group,
        kv,
        2 * half,
        ff,
        vocab,
        **dict(zip(SWITCHES, switches, strict=True)),
    ),
    st.integers(1, 60),
    st.integers(1, 8192),
    st.integers(1, 16),
    st.integers(1, 8),
    st.integers(1, 128),
    st.integers(1, 30000),
    st.integers(1, 300000),
    st.tuples(*[st.booleans()] * len(SWITCHES)),
)


def counted_by_transformers(config):
    """Parameters of the model transformers builds from a config, on the meta device."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    plain = {k: v for k, v in config.items() if k != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            AutoConfig.for_model(config["model_type"], **plain)
        )
    return sum(p.numel() for p in model.parameters())
