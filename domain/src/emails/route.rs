//! Through which server the mails of a project leave, and under whose name.

use crate::{
    deps::Deps,
    error::Result,
    ports::mail::{Encryption, MailServer},
    projects::{self, EmailConnection, Project},
};

/// Ports on which TLS is spoken from the first byte (wire: emails §7).
const TLS_PORTS: [u16; 2] = [465, 2465];

/// The way a project's mails take.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) destination: Destination,
    pub(super) from_name: String,
    pub(super) from_address: String,
}

/// Where it ends.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    /// This server: the project's own or the installation's.
    Server(MailServer),
    /// The local mailbox.
    Mailbox,
    /// Nowhere: what is missing, in words for administrators.
    Nowhere(&'static str),
}

/// The way of the mails of `project`.
pub(super) async fn route(deps: &Deps, project: &Project) -> Result<Route> {
    let config = projects::config(deps, &project.id).await?;
    let (default_name, address) = &deps.settings.mail_from;
    let name = if project.display_name.is_empty() { default_name } else { &project.display_name };
    let by_installation = |destination| Route { destination, from_name: name.clone(), from_address: address.clone() };
    if !config.emails.server.is_shared {
        return Ok(match config.emails.server.connection() {
            Some(own) => own_server(own),
            None => by_installation(Destination::Nowhere("the project's mail server is not completely configured")),
        });
    }
    Ok(by_installation(match &deps.settings.shared_mail_server {
        Some(server) => Destination::Server(server.clone()),
        None if deps.settings.local_mode => Destination::Mailbox,
        None => Destination::Nowhere("the installation has no mail server"),
    }))
}

fn own_server(own: EmailConnection) -> Route {
    let (server, from_name, from_address) = of_connection(own);
    Route { destination: Destination::Server(server), from_name, from_address }
}

/// A server of a project's own, and the name and address of its sender.
pub(super) fn of_connection(own: EmailConnection) -> (MailServer, String, String) {
    let EmailConnection { host, port, username, password, sender_name, sender_email } = own;
    let encryption = if TLS_PORTS.contains(&port) { Encryption::Tls } else { Encryption::StartTlsIfOffered };
    let credentials = (!username.is_empty()).then_some((username, password));
    (MailServer { host, port, encryption, credentials, chosen_by_tenant: true }, sender_name, sender_email)
}
