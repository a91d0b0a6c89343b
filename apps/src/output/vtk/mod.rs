//! VTK ImageData: `.vti`, one file that all ranks write, and `.pvd`, a series with a file for each rank and moment.
//!
//! Values are those of cells, so an image of n cells along an axis has the extent 0 to n; axes that the grid does not have
//! are flat (0 to 0). Arrays are appended raw, little-endian, each behind its length in bytes as UInt64 (VTK file formats,
//! XML, version 1.0).
//!
//! A series `u.pvd` has its pieces in the folder `u` beside it: `u/00000100.rank-00003.vti` of a rank and moment (a rank
//! with several boxes has a file for each, `….rank-00003.1.vti`), and `u/00000100.pvti`, which names those of all ranks.
//! `u.pvd` itself names the moments; it is replaced after each, and so always names what is there. A run that is resumed
//! goes on with it.

mod image;
mod series;

pub use image::image;
pub use series::Series;
