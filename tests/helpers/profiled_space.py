"""A space small enough to be measured in seconds."""

SPACE = """
schema_version = 1
name = "tiny"
[shape]
n_layers = [2, 3, 4, 6, 8]
d_model = [64, 96, 128, 192]
d_head = [32]
kv_groups = [1]
ffn_ratio = [2.0, 4.0]
ffn_multiple = 32
vocab_size = 512
[run]
execution = ["eager"]
weights = ["fp32"]
batch = [1]
prompt_tokens = 8
output_tokens = 12
[train]
tokens_per_parameter = [20]
"""
