//! What options of simulations choose from.

use clap::ValueEnum;
use physalia_apps::stencil::axis::Edge;
use physalia_apps::stencil::wave::End;

macro_rules! choices {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        pub enum $name { $($(#[$vmeta])* $variant),* }
    )* };
}

choices! {
    /// Numbers to compute with.
    Float {
        /// 32 bits
        F32,
        /// 64 bits
        F64,
    }
    /// The field at the start.
    Start {
        /// A product of waves
        Sines,
        /// Even random numbers in [0, 1)
        Random,
    }
    /// The boundary of heat.
    HeatEnd {
        /// Zero
        Dirichlet,
        /// No flux
        Neumann,
        /// The axis goes on at its other end
        Periodic,
    }
    /// How steps of heat are made.
    Method {
        /// Explicit, of order 1
        Euler,
        /// Runge and Kutta's, explicit, of order 4
        Rk4,
        /// Backward Euler, by multigrid; walls with zero are at the faces of the first and last cells
        Implicit,
    }
    /// The boundary of waves.
    WaveEnd {
        /// Zero
        Fixed,
        /// Free
        Free,
        /// The axis goes on at its other end
        Periodic,
        /// Waves leave
        Absorbing,
    }
    /// Waves at the start.
    WaveStart {
        /// The longest standing wave, of which the solution is known
        Mode,
        /// A hill in the middle
        Pulse,
        /// Nothing
        Rest,
    }
    /// Where v is at the start.
    Blocks {
        /// On one block in the middle
        One,
        /// On many blocks
        Many,
    }
    /// Around Gray and Scott's substances.
    Around {
        /// The axes go on at their other ends
        Periodic,
        /// u = 1, v = 0
        Fixed,
    }
    /// Around Life.
    Borders {
        /// The axes go on at their other ends
        Torus,
        /// Dead cells
        Dead,
    }
    /// What is carried along.
    Profile {
        /// 1 + ½ cos
        Wave,
        /// A round hill in the middle
        Hill,
        /// Even random numbers in [0, 1)
        Random,
    }
    /// How Poisson's equation is solved.
    Solver {
        /// V-cycles
        Multigrid,
        /// Conjugate gradients with a V-cycle as preconditioner
        Cg,
    }
    /// The coefficient of Poisson's equation.
    Medium {
        /// 1
        Even,
        /// exp(½ (x + y + z))
        Graded,
    }
}

impl From<HeatEnd> for Edge {
    fn from(end: HeatEnd) -> Edge {
        match end {
            HeatEnd::Dirichlet => Edge::Zero,
            HeatEnd::Neumann => Edge::Mirror,
            HeatEnd::Periodic => Edge::Periodic,
        }
    }
}

impl From<WaveEnd> for End {
    fn from(end: WaveEnd) -> End {
        match end {
            WaveEnd::Fixed => End::Fixed,
            WaveEnd::Free => End::Free,
            WaveEnd::Periodic => End::Periodic,
            WaveEnd::Absorbing => End::Absorbing,
        }
    }
}
