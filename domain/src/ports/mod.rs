//! What the domain needs of the outer world, as traits. The real clients live in `outside`; in-memory ones beside the
//! traits serve tests and local mode. Nothing here names a vendor, but for [`stripe`] and [`svix`]: what is handed to them is
//! in their terms.

pub mod http;
pub mod mail;
pub mod oauth;
pub mod rates;
pub mod sandbox;
pub mod stripe;
pub mod svix;
