"""GGUF headers written from the published layout."""

import struct

from core.model.architecture import Architecture

TINY = Architecture(2, 32, 4, 2, 8, 48, 50)


def text(word):
    data = word.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, value):
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        kind, code = (8, None) if isinstance(value[0], str) else (4, "I")
        items = [text(v) if code is None else struct.pack("<I", v) for v in value]
        return text(key) + struct.pack("<IIQ", 9, kind, len(value)) + b"".join(items)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    return text(key) + struct.pack("<II", 4, value)


def gguf(a, kind="llama", version=3, values=None, tensors=None):
    """A GGUF file's header, written from the published layout."""
    given_values = {
        "general.architecture": kind,
        "general.name": "test",
        f"{kind}.block_count": a.n_layers,
        f"{kind}.context_length": 4096,
        f"{kind}.embedding_length": a.d_model,
        f"{kind}.feed_forward_length": a.d_ff,
        f"{kind}.attention.head_count": a.n_heads,
        f"{kind}.attention.head_count_kv": a.n_kv_heads,
        f"{kind}.attention.key_length": a.d_head,
        f"{kind}.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.tokens": ["a"] * a.vocab_size,
    } | (values or {})
    names = {"token_embd.weight": (a.d_model, a.vocab_size), "output_norm.weight": (a.d_model,)}
    if not a.tied_embeddings:
        names["output.weight"] = (a.d_model, a.vocab_size)
    for layer in range(a.n_layers):
        parts = {
            "attn_norm.weight": (a.d_model,),
            "ffn_norm.weight": (a.d_model,),
            "attn_q.weight": (a.d_model, a.d_q),
            "attn_k.weight": (a.d_model, a.d_kv),
            "attn_v.weight": (a.d_model, a.d_kv),
            "attn_output.weight": (a.d_q, a.d_model),
            "ffn_up.weight": (a.d_model, a.d_ff),
            "ffn_down.weight": (a.d_ff, a.d_model),
        }
        if a.gated_ffn:
            parts["ffn_gate.weight"] = (a.d_model, a.d_ff)
        if a.qkv_bias:
            parts |= {"attn_q.bias": (a.d_q,), "attn_k.bias": (a.d_kv,), "attn_v.bias": (a.d_kv,)}
        if a.qk_norm:
            parts |= {"attn_q_norm.weight": (a.d_head,), "attn_k_norm.weight": (a.d_head,)}
        names |= {f"blk.{layer}.{k}": v for k, v in parts.items()}
    names = names if tensors is None else tensors
    data = b"GGUF" + struct.pack("<IQQ", version, len(names), len(given_values))
    data += b"".join(entry(k, v) for k, v in given_values.items() if v is not None)
    for name, shape in names.items():
        data += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, 0)
    return data
