//! How much the worker does at once and how long it waits for what.

use std::time::Duration;

use postern_domain::queue::Lane;

/// Settings of a worker process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Slots and time limit of [`Lane::General`].
    pub general: LaneSettings,
    /// Slots and time limit of [`Lane::Mail`].
    pub mail: LaneSettings,
    /// Slots and time limit of [`Lane::Webhooks`].
    pub webhooks: LaneSettings,
    /// How long a claim lasts unless renewed; it is renewed three times as often. A dead worker's jobs run again after this
    /// time and at most one [`Self::poll`].
    pub lease: Duration,
    /// How often the database is looked at when no signal came.
    pub poll: Duration,
    /// How long running jobs may take to finish once the worker is told to stop; then they are cut off and given back.
    pub drain: Duration,
}

/// Settings of one lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneSettings {
    /// Jobs that run at the same time.
    pub slots: usize,
    /// How long one run may take before it is cut off and counted as failed.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let timeout = Duration::from_secs(60);
        Self {
            general: LaneSettings { slots: 16, timeout },
            // Most of them wait for mail servers; the domain lets few of one project at a time.
            // Rendering twice and a server that answers at the last moment take more than a minute together.
            mail: LaneSettings { slots: 32, timeout: 2 * timeout },
            webhooks: LaneSettings { slots: 64, timeout },
            lease: Duration::from_secs(30),
            poll: Duration::from_millis(500),
            drain: Duration::from_secs(25),
        }
    }
}

impl Settings {
    pub(crate) fn lane(&self, lane: Lane) -> LaneSettings {
        match lane {
            Lane::General => self.general,
            Lane::Mail => self.mail,
            Lane::Webhooks => self.webhooks,
        }
    }
}
