//! Teams. So far they are read through their members; what members may do comes with permissions.

pub(crate) mod types;
