import numpy as np
import pytest

from merjax.ops.batch import batched


@pytest.mark.parametrize("size", [1, 3])
def test_every_tuple_gets_its_own_results_in_order_with_one_compilation_a_shape(rng, size):
    seen = []

    def function(x, y):
        seen.append(x.shape)
        return x.sum() + y, 2 * x

    items = [(rng.normal(size=n).astype(np.float32), np.float32(i)) for i, n in enumerate([2, 5, 2, 2, 5, 2, 2])]
    many = batched(function, size)
    for (x, y), (total, double) in zip(items, many(items), strict=True):
        np.testing.assert_allclose(total, x.sum() + y, rtol=1e-5)
        np.testing.assert_array_equal(double, 2 * x)
    assert sorted(seen) == [(2,), (5,)]
    assert many([]) == []
