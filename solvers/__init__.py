"""The built-in solvers, one method (or close family) a file.

They are found through the entry-point group ``eqgan.solvers`` like anyone else's; this list is for
people and type checkers.
"""

if __name__ != "eqgan.solvers":
    raise ImportError("Import the solvers as eqgan.solvers; `solvers` is only their folder.")

from eqgan.solvers.adaptive_competitive_gradient import AdaptiveCompetitiveGradient
from eqgan.solvers.alternating_gradient import AlternatingGradient
from eqgan.solvers.anchored_extragradient import AnchoredExtragradient
from eqgan.solvers.averaging import Averaged, MovingAverage
from eqgan.solvers.best_so_far import BestSoFar
from eqgan.solvers.competitive_gradient import CompetitiveGradient
from eqgan.solvers.consensus import Consensus
from eqgan.solvers.double_oracle import DoubleOracle
from eqgan.solvers.extragradient import Extragradient
from eqgan.solvers.fictitious_play import FictitiousPlay
from eqgan.solvers.follow_the_ridge import FollowTheRidge
from eqgan.solvers.interior_point import InteriorPoint
from eqgan.solvers.linear_program import LinearProgram
from eqgan.solvers.lola import Lola
from eqgan.solvers.lookahead import Lookahead
from eqgan.solvers.mirror_prox import MirrorProx
from eqgan.solvers.mix_gan import MixGan
from eqgan.solvers.multiplicative_weights import (
    MultiplicativeWeights,
    OptimisticMultiplicativeWeights,
)
from eqgan.solvers.negative_momentum import NegativeMomentum
from eqgan.solvers.optimistic_gradient import OptimisticGradient
from eqgan.solvers.particle_mirror_prox import ParticleMirrorProx
from eqgan.solvers.pdhg import HalpernPdhg, Pdhg
from eqgan.solvers.pivoting import Pivoting
from eqgan.solvers.proximal_point import ProximalPoint
from eqgan.solvers.quantal_newton import QuantalNewton
from eqgan.solvers.rational import Rational
from eqgan.solvers.regret_matching import (
    PredictiveRegretMatchingPlus,
    RegretMatching,
    RegretMatchingPlus,
)
from eqgan.solvers.restarted import Restarted
from eqgan.solvers.simultaneous_gradient import SimultaneousGradient
from eqgan.solvers.support_polish import SupportPolish
from eqgan.solvers.symplectic_gradient import SymplecticGradient
from eqgan.solvers.unrolled import Unrolled

__all__ = [
    "AdaptiveCompetitiveGradient",
    "AlternatingGradient",
    "AnchoredExtragradient",
    "Averaged",
    "BestSoFar",
    "CompetitiveGradient",
    "Consensus",
    "DoubleOracle",
    "Extragradient",
    "FictitiousPlay",
    "FollowTheRidge",
    "HalpernPdhg",
    "InteriorPoint",
    "LinearProgram",
    "Lola",
    "Lookahead",
    "MirrorProx",
    "MixGan",
    "MovingAverage",
    "MultiplicativeWeights",
    "NegativeMomentum",
    "OptimisticGradient",
    "OptimisticMultiplicativeWeights",
    "ParticleMirrorProx",
    "Pdhg",
    "Pivoting",
    "PredictiveRegretMatchingPlus",
    "ProximalPoint",
    "QuantalNewton",
    "Rational",
    "RegretMatching",
    "RegretMatchingPlus",
    "Restarted",
    "SimultaneousGradient",
    "SupportPolish",
    "SymplecticGradient",
    "Unrolled",
]
