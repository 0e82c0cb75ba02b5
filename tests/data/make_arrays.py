"""Writes tests/data/arrays with NumPy, the reference for .npy and .npz (run: python3 make_arrays.py).

The files are committed, so that the tests need no Python. What they hold stands in
tests/unit/io/test_data_npy.c and test_data_npz.c."""
import os

import numpy as np

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "arrays"))

for kind in "iu":
    for size in (1, 2, 4, 8):
        for order in "<>" if size > 1 else "|":
            dtype = np.dtype(f"{order}{kind}{size}")
            info = np.iinfo(dtype)
            values = np.array([[0, 1, info.max], [info.min, 7, 42]], dtype)
            np.save(f"{kind}{size}{'be' if order == '>' else ''}.npy", values)

halves = np.array([0, 0x8000, 1, 0x3FF, 0x400, 0x3C00, 0xBC00, 0x3555, 0x7BFF, 0xFBFF, 0x4248, 0x83FF],
                  np.uint16).view(np.float16)
np.save("f2.npy", halves)
np.save("f2be.npy", halves.astype(">f2"))
np.save("f2_as_f8.npy", halves.astype("<f8"))
np.save("f2_not_finite.npy", np.array([np.inf, -np.inf, np.nan], np.float16))

reals = np.array([[0.1, -2.5, 1e-3], [3e7, 1 / 3, -0.0]])
for size in (4, 8):
    np.save(f"f{size}.npy", reals.astype(f"<f{size}"))
    np.save(f"f{size}be.npy", reals.astype(f">f{size}"))
np.save("b1.npy", np.array([[True, False, True], [False, False, True]]))

# Element [i, j, k, l] is its own index in C order.
counting = np.arange(120, dtype="<i4").reshape(4, 3, 2, 5)
np.save("fortran.npy", np.asfortranarray(counting))
np.save("scalar.npy", np.float64(3.5))
np.save("no_rows.npy", np.zeros((0, 3), np.float32))
np.save("no_columns.npy", np.zeros((5, 0), np.float32))
np.save("complex.npy", np.ones((2, 2), complex))
np.save("text.npy", np.array(["a", "bc"]))
np.save("record.npy", np.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]))
with open("version2.npy", "wb") as f:
    np.lib.format.write_array(f, reals.astype("<f4"), version=(2, 0))
with open("version3.npy", "wb") as f:
    np.lib.format.write_array(f, reals.astype("<f4"), version=(3, 0))

x = np.array([[0.5, 1.5, -2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.25], [9.0, 10.0, 11.0]], np.float32)
y = np.array([0, 1, 1, 0])
np.savez("stored.npz", x=x, y=y)
np.savez_compressed("deflated.npz", x=np.asfortranarray(x), y=y[:, None])
np.savez("unnamed.npz", x, y)
np.savez("other_name.npz", y=y, data=x)
np.savez("labels_only.npz", y=y)
np.savez("too_few_labels.npz", x=x, y=y[:3])
np.savez_compressed("masks.npz", **{"fc1.weight": np.eye(3, 4, dtype=bool),
                                    "deep/fc2.bias": np.arange(4, dtype=">i2")})
np.savez_compressed("bomb.npz", x=np.zeros((1000, 40000), np.uint8))
