//! `orqit serve`: opens the database, makes what a first start needs, and serves until SIGTERM.

mod demo;
mod lock;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::settings::ServeArgs;
use super::{chain, database, key, master_key};
use crate::auth::attempts::Budget;
use crate::auth::caller::Caller;
use crate::auth::key::KeyText;
use crate::auth::keyring::KeyRing;
use crate::clock::Clock;
use crate::config::SERVER_LOCK_WAIT;
use crate::connections;
use crate::error::Error;
use crate::gateway::github::GithubKeys;
use crate::server::Server;
use crate::service::workspace::record_new;
use crate::store::{NewWorkspace, Store};
use crate::usage::Recorder;
use crate::usage::retention::Retention;

/// Serves until SIGTERM or SIGINT.
pub async fn run(args: ServeArgs) -> Result<(), String> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(connections::tls(cert, key)?),
        _ => None,
    };
    let github_keys = args.github_public_keys.as_deref().map(GithubKeys::read).transpose()?;
    let limits = args.limits.settings()?;
    let email = args.email.settings()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    // From here on a signal stops the service properly, whatever it is doing.
    let stop = stop()?;
    let clock = Clock::System;
    // Bound before anything is made: the key that a first start prints is printed only once.
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        let address = args.listen;
        format!("cannot listen on {address}: {error}; choose another address with ORQIT_LISTEN")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // Before the database is opened, and until everything of it is closed.
    let server_lock = lock::take(&args.database.database_url, SERVER_LOCK_WAIT).await?;
    let store = database::open(&args.database).await?;
    if server_lock.is_some() {
        // Whoever had claimed them served this file before, and is gone.
        let taken = store.expire_claims().await;
        taken.map_err(|error| chain("cannot take up what is still to be sent", &error))?;
    }
    let vault = master_key::vault(&args.database, &args.webhooks.master_key)?;
    vault.check(&store).await?;
    if !vault.is_open() {
        tracing::warn!(
            "there is no ORQIT_MASTER_KEY: webhooks can be neither registered nor sent; make a key by `openssl rand -base64 32` and give it to every replica"
        );
    }
    let webhooks = args.webhooks.settings(vault)?;
    let first = first_start(&store, args.demo).await?;
    if let Some(admin) = first.as_ref().filter(|_| args.demo) {
        let failed = |error: Error| chain("cannot load the demo", &error);
        let caller = caller(&store, admin).await.map_err(failed)?;
        demo::load(&store, &clock, &webhooks, &caller).await.map_err(failed)?;
    }
    let url = format!("{scheme}://{address}");
    println!("Orqit listens on {url}");
    if let Some(admin) = &first {
        println!("{}", welcome(&url, admin));
    }
    let (bounds, bodies, answers) = (args.bounds(), args.bodies(), args.answers());
    let server = Server {
        store: store.clone(),
        clock,
        limits,
        tls,
        reflection: args.reflection,
        cors_origins: args.cors_origins,
        request_timeout: args.request_timeout,
        body_timeout: args.body_timeout,
        usage: Recorder::new(store.clone(), args.request_log_queue as usize),
        retention: Retention {
            request_logs: args.request_log_retention,
            events: args.event_retention,
            emails: args.email_retention,
        },
        bounds,
        bodies,
        answers,
        trusted_proxies: args.trusted_proxies,
        failed_attempts: Budget::default(),
        github_keys,
        public_url: args.public_url.unwrap_or(url),
        webhooks,
        email,
    };
    server.run(listener, stop).await?;
    let closed = store.close().await;
    drop(server_lock);
    closed.map_err(|error| chain("cannot close the database", &error))
}

/// Makes the workspace `default` if the database has no workspace yet, and an admin key for it if
/// it has none, in one transaction; with higher limits for the demo. Replicas that start at once take
/// turns, so one of them makes the key and has it to print.
async fn first_start(store: &Store, demo: bool) -> Result<Option<KeyText>, String> {
    let failed = |error: Error| chain("cannot make the first workspace", &error);
    let (slug, name) = ("default".to_owned(), "Default".to_owned());
    let new = NewWorkspace { slug, name, admin_email: None };
    let Some(mut tx) = store.begin_first_start(new, record_new).await.map_err(failed)? else {
        return Ok(None);
    };
    // `orqit key create` waits here too.
    tx.lock_keys().await.map_err(failed)?;
    if tx.has_keys().await.map_err(failed)? {
        return Ok(None);
    }
    let admin = KeyText::generate();
    let mut new = key::new_key(&admin, "Admin".to_owned(), vec!["admin".to_owned()])?;
    if demo {
        // Whoever looks around tries every request once.
        (new.per_minute, new.group_per_minute) = (600, 300);
    }
    key::insert(&mut tx, new).await.map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(admin))
}

async fn caller(store: &Store, key: &KeyText) -> Result<Arc<Caller>, Error> {
    let found = KeyRing::new(store.clone()).find(key, key.hash()).await?;
    found.ok_or_else(|| Error::internal("the admin key that was just made is not there"))
}

fn welcome(url: &str, admin: &KeyText) -> String {
    let key = admin.reveal();
    format!(
        "\nFirst start. This admin key of the workspace `default` is shown only now:\n\n  {key}\n\n\
         Look at the tickets:\n\n  curl -s '{url}/api/public/v1/tickets?page=1&perPage=20' \\\n    \
         -H 'Authorization: Bearer {key}'\n"
    )
}

/// Returns a future that resolves when the process is asked to stop.
fn stop() -> Result<impl Future<Output = ()>, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
