"""Other toolkits' translation networks, for benchmarks/translation.py, where they are installed."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from throughtime.sequence import SequenceBatch

SPECIALS = ("<unk>", "<pad>", "<s>", "</s>")


class JoeyNMT(nn.Module):
    """JoeyNMT's recurrent network (Kreutzer et al. 2019): Luong's attention, input feeding, an output layer of its own.

    Args:
        vocabulary: tokens of each side.
        hidden_size: units of the decoder, and of both directions of the encoder together.
        embedding_size: features of a token's vector.
    """

    def __init__(self, vocabulary: int, hidden_size: int, embedding_size: int = 256) -> None:
        super().__init__()
        from joeynmt.decoders import RecurrentDecoder  # noqa: PLC0415 - a peer that need not be there
        from joeynmt.embeddings import Embeddings  # noqa: PLC0415
        from joeynmt.encoders import RecurrentEncoder  # noqa: PLC0415
        from joeynmt.model import Model  # noqa: PLC0415

        ids = {f"{name}_index": index for index, name in enumerate(("unk", "pad", "bos", "eos"))}
        words = SimpleNamespace(**ids, sep_index=None, specials=[*SPECIALS], lang_tags=[], lookup=SPECIALS.index)
        encoder = RecurrentEncoder("lstm", hidden_size // 2, embedding_size)
        decoder = RecurrentDecoder(
            "lstm", embedding_size, hidden_size, encoder, "luong", vocab_size=vocabulary, init_hidden="bridge"
        )
        embeddings = [Embeddings(embedding_size, vocab_size=vocabulary, padding_idx=1) for _ in range(2)]
        self.model = Model(encoder, decoder, *embeddings, words, words)
        self.end = words.eos_index

    def forward(self, source: SequenceBatch, target: Tensor) -> Tensor:
        """Scores of what follows each token of a target, (target, batch, vocabulary)."""
        tokens, mask = _batch_first(source)
        encoded = {"src": tokens, "src_mask": mask, "src_length": source.lengths}
        mine = torch.ones(target.shape[1], 1, len(target), dtype=torch.bool)
        return self.model._encode_decode(**encoded, trg_input=target.t(), trg_mask=mine)[0].transpose(0, 1)

    @torch.inference_mode()
    def search(self, source: SequenceBatch, beam: int, length: int) -> object:
        """The best translation of each source, all of one length."""
        from joeynmt.search import beam_search  # noqa: PLC0415

        tokens, mask = _batch_first(source)
        outputs, hidden = self.model._encode(tokens, source.lengths, mask)
        return beam_search(self.model, beam, outputs, hidden, mask, length, alpha=1.0, min_output_length=length)


def _batch_first(source: SequenceBatch) -> tuple[Tensor, Tensor]:
    lengths = source.lengths
    return source.values.t(), (torch.arange(len(source.values)) < lengths.unsqueeze(1)).unsqueeze(1)
