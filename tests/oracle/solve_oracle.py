"""Solves dumped programs with scipy's HiGHS and compares the optimum.

usage: solve_oracle.py FILE...        exit 0: all agree, 1: one does not, 77: scipy is missing

Each file holds, as text: norm n m terms weight outcome objective, then lo[n] hi[n], A[m x n], h[m],
C[terms x n], c0[terms]. The program is written out in full here, independent of the library:
variables d, v-bounds u, t.
"""
import sys

try:
    import numpy as np
    from scipy.optimize import linprog, minimize
except ImportError:
    print("skipped: scipy is not installed")
    sys.exit(77)


def read(path):
    words = open(path).read().split()
    norm, n, m, terms = words[0], int(words[1]), int(words[2]), int(words[3])
    weight, outcome, objective = float(words[4]), words[5], float(words[6])
    values = np.array([float(w) for w in words[7:]])
    cuts = np.cumsum([n, n, m * n, m, terms * n])
    lo, hi, a, h, c, c0 = np.split(values, cuts)
    return norm, weight, outcome, objective, lo, hi, a.reshape(m, n), h, c.reshape(terms, n), c0


def solve_lp(norm, weight, lo, hi, a, h, c, c0):
    """min t + w sum u, |v_k| <= u_k <= t, v = (d, C d + c0); returns None if infeasible."""
    m, n = a.shape
    big = np.vstack([np.eye(n), c])
    shift = np.concatenate([np.zeros(n), c0])
    k = len(shift)
    eye, zero, one = np.eye(k), np.zeros((k, 1)), np.ones((k, 1))
    upper = np.vstack([
        np.hstack([-a, np.zeros((m, k)), np.zeros((m, 1))]),
        np.hstack([big, -eye, zero]),
        np.hstack([-big, -eye, zero]),
        np.hstack([np.zeros((k, n)), eye, -one]),
    ])
    rhs = np.concatenate([-h, -shift, shift, np.zeros(k)])
    per_u = {"l1": 1.0, "linf": 0.0, "linf+l1n": weight}[norm]
    # HiGHS's tolerances are absolute: cost times k, as a mean of |v| would vanish below them.
    cost = np.concatenate([np.zeros(n), np.full(k, per_u * k), [0.0 if norm == "l1" else k]])
    bounds = [(p, q) for p, q in zip(lo, hi)] + [(0, None)] * (k + 1)
    result = linprog(cost, A_ub=upper, b_ub=rhs, bounds=bounds, method="highs-ds",
                     options={"primal_feasibility_tolerance": 1e-10,
                              "dual_feasibility_tolerance": 1e-10})
    return None if result.status == 2 else result.fun / k


def solve_l2(lo, hi, a, h, c, c0):
    d0 = np.zeros(a.shape[1])
    result = minimize(
        lambda d: d @ d + (c @ d + c0) @ (c @ d + c0), d0,
        jac=lambda d: 2 * d + 2 * c.T @ (c @ d + c0), method="SLSQP", bounds=list(zip(lo, hi)),
        constraints=[{"type": "ineq", "fun": lambda d: a @ d - h, "jac": lambda d: a}],
        options={"ftol": 1e-14, "maxiter": 1000})
    return np.sqrt(result.fun) if result.success else None


def agrees(path):
    norm, weight, outcome, objective, *program = read(path)
    want = solve_l2(*program) if norm == "l2" else solve_lp(norm, weight, *program)
    if outcome == "infeasible":
        good = want is None
    else:
        good = want is not None and abs(objective - want) <= (1e-6 if norm == "l2" else 1e-7) * want
    print(f"{'ok ' if good else 'BAD'} {path}: {norm}, {outcome} {objective}, scipy {want}")
    return good


sys.exit(0 if all([agrees(path) for path in sys.argv[1:]]) else 1)
