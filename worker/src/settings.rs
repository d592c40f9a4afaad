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
    /// Slots and time limit of [`Lane::Payments`].
    pub payments: LaneSettings,
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
    /// How long a claim lasts unless renewed; it is renewed three times as often. A dead worker's jobs run again after this
    /// time and at most one [`Settings::poll`].
    pub lease: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let (timeout, lease) = (Duration::from_secs(60), Duration::from_secs(30));
        Self {
            general: LaneSettings { slots: 16, timeout, lease },
            // Most of them wait for mail servers; the domain lets few of one project at a time.
            // Rendering twice and a server that answers at the last moment take more than a minute together.
            // A lease that is lost while a mail server is talked to costs a repeated mail: an outage of the database is sat out.
            mail: LaneSettings { slots: 32, timeout: 2 * timeout, lease },
            // Each is the line of an endpoint and mostly waits; a turn with slow receivers goes on for minutes.
            // What waits for an endpoint waits until its line is taken over from a dead worker; taken over from one that only
            // slept, it costs a repeated attempt under the same id.
            webhooks: LaneSettings { slots: 128, timeout: 5 * timeout, lease: Duration::from_secs(10) },
            // Each makes a few calls to Stripe, one after the other.
            payments: LaneSettings { slots: 16, timeout: 3 * timeout, lease },
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
            Lane::Payments => self.payments,
        }
    }

    /// The shortest lease of all lanes.
    pub(crate) fn shortest_lease(&self) -> Duration {
        let leases = Lane::ALL.iter().map(|lane| self.lane(*lane).lease);
        leases.min().unwrap_or_default()
    }
}
