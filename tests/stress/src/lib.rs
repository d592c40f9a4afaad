//! Drills and benchmarks. Both start real servers ([`stand`]), work through the real doors, and print what they saw. They
//! know Postern as its operators do: by its command, its settings and its APIs; none of its crates is used here.

pub mod bench;
pub mod drill;
pub mod stand;
