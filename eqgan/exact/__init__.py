"""Matrix games in rational arithmetic: equilibria that are proved, and all of them.

Floats only guess. A guess of the optimal basis is lifted to rational strategies (`lifting`),
replaced by exact pivots where it is wrong (`simplex`), and believed once both players'
inequalities hold in integers (`equilibrium`). Every other equilibrium follows from one of them
(`double_description`, `optimal_face`).
"""
