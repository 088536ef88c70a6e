"""The levers of a design that a loss law does not see: they change its cost and not its predicted loss."""

from __future__ import annotations

from core.laws.law import Law

# lever -> the symbols of a law (`Law.needs`) that move with it at one number of parameters
OF_SHAPE = {
    "width": "dRx",
    "layers": "lR",
    "head size": "",
    "KV groups": "r",
    "FFN ratio": "r",
    "gated FFN": "r",
    "vocabulary": "",
    "tied embeddings": "",
}
OF_RUNNING = "16 or 32 bits, execution, threads, batch, prompt, output and a draft model"


def unseen(law: Law, params: str) -> str:
    """One line that names every lever the law does not see, with the N that it counts ('total' or
    'non-embedding')."""
    seen = "".join(law.needs)
    hidden = [lever for lever, symbols in OF_SHAPE.items() if not set(symbols) & set(seen)]
    return (
        f"beyond {params} parameters it does not see {', '.join(hidden)};"
        f" {OF_RUNNING} leave it as it is"
    )
