"""Writes tests/data/masks with NumPy: masks of edit plans (run: python3 make_masks.py).

The files are committed, so that the tests need no Python. They are made for the network of
tests/unit/problem/test_plan.c."""
import os

import numpy as np

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "masks"))

weights = np.zeros((5, 4), np.float32)
weights[1, 2] = 1
weights[4, 0] = -0.5
np.savez("good.npz", **{"0.weight": weights, "Gemm_2.bias": np.array([0, 0, 0, 0, 7]),
                        "-1.bias": np.array([True, False, True])})
np.savez("columns_first.npz", **{"0.weight": np.asfortranarray(weights)})
np.savez("wrong_size.npz", **{"0.weight": np.eye(4)})
np.savez("no_layer.npz", **{"9.weight": np.eye(4)})
np.savez("no_suffix.npz", weights=weights)
np.savez("locked.npz", **{"2.weight": np.eye(6)})
np.savez("no_biases.npz", **{"1.bias": np.ones(6)})
