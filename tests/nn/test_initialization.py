from __future__ import annotations

import pytest
import torch

from throughtime.nn import orthogonal_blocks_


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (5, 2), (2, 5)])
def test_each_block_is_orthogonal(rows: int, columns: int) -> None:
    weight = torch.empty(3 * rows, columns, dtype=torch.float64)
    assert orthogonal_blocks_(weight, 3) is weight
    blocks = weight.chunk(3)
    for block in blocks:
        product = block @ block.T if rows <= columns else block.T @ block
        torch.testing.assert_close(product, torch.eye(min(rows, columns), dtype=torch.float64), rtol=0, atol=1e-12)
    assert not torch.allclose(blocks[0], blocks[1])


def test_bfloat16_weights_are_orthogonal_to_their_precision() -> None:
    weight = orthogonal_blocks_(torch.empty(8, 8, dtype=torch.bfloat16), 1).float()
    torch.testing.assert_close(weight @ weight.T, torch.eye(8), rtol=0, atol=2**-6)
