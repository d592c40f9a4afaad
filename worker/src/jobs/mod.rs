//! One thin file per job: decode nothing, decide nothing, call the domain.
