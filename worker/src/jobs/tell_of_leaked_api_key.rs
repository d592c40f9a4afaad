//! Writes to those whom a leaked API key concerns.

use postern_domain::{
    Deps, Result,
    api_keys::{self, jobs::TellOfLeakedApiKey},
    queue::{Ending, Lease},
};

pub(crate) async fn run(deps: Deps, _: Lease, job: TellOfLeakedApiKey) -> Result<Ending> {
    api_keys::tell_of_leak(&deps, &job).await?;
    Ok(Ending::done())
}
