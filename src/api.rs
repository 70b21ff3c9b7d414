//! The services that answer the RPCs of a server: those of Orqit, or those of a test of the stack.

use std::sync::Arc;

use rest::Binding;
use tonic::service::RoutesBuilder;

use crate::auth::keyring::KeyRing;
use crate::auth::leaks::Leaks;
use crate::clock::Clock;
use crate::config::BODY_BYTES_MAX;
use crate::dispatch::{Dispatcher, EmailDeliveries, EventDeliveries};
use crate::feed::Feeds;
use crate::limits::Limiter;
use crate::pb;
use crate::service::articles::Articles;
use crate::service::assets::Assets;
use crate::service::audit::Audits;
use crate::service::categories::Categories;
use crate::service::compat::Compat;
use crate::service::custom_fields::CustomFields;
use crate::service::emails::{Emails, Outbox};
use crate::service::events::Events;
use crate::service::keys::Keys;
use crate::service::projects::Projects;
use crate::service::system::Systems;
use crate::service::tickets::Tickets;
use crate::service::usage::Usages;
use crate::service::users::Users;
use crate::service::webhooks::Webhooks;
use crate::service::workspace::Workspaces;
use crate::store::Store;
use crate::webhooks::address::Allowed;
use crate::webhooks::vault::Vault;
use crate::{email, service, webhooks};

/// The services of a server, as each protocol reaches them.
pub struct Api {
    /// The REST routes.
    pub bindings: Vec<Binding>,
    /// Adds their gRPC servers and returns the names of their services.
    pub add_servers: AddServers,
}

/// A function that makes the services, once the server has what they share.
pub type MakeApi = Box<dyn FnOnce(Shared) -> Api + Send>;

type AddServers = Box<dyn FnOnce(&mut RoutesBuilder) -> Vec<&'static str> + Send>;

/// The parts that services share with the server around them.
pub struct Shared {
    pub store: Store,
    pub ring: Arc<KeyRing>,
    pub leaks: Arc<Leaks>,
    pub limiter: Arc<Limiter>,
    pub clock: Clock,
    /// The catalogue of events, as it is answered.
    pub event_types: Arc<[pb::EventTypeInfo]>,
    /// The vault that seals the secrets of webhooks; it also checks where webhooks may be.
    pub vault: Arc<Vault>,
    pub allowed: Arc<Allowed>,
    /// The outbox for new e-mails.
    pub outbox: Outbox,
}

/// Makes all services of Orqit.
pub fn orqit(shared: Shared) -> Api {
    let Shared { store, ring, leaks, limiter, clock, event_types, vault, allowed, outbox } = shared;
    let services = pb::Services {
        system_service: Arc::new(Systems),
        workspace_service: Arc::new(Workspaces { store: store.clone(), ring: Arc::clone(&ring) }),
        user_service: Arc::new(Users { store: store.clone() }),
        category_service: Arc::new(Categories { store: store.clone() }),
        asset_service: Arc::new(Assets { store: store.clone() }),
        project_service: Arc::new(Projects { store: store.clone() }),
        knowledge_service: Arc::new(Articles { store: store.clone() }),
        custom_field_service: Arc::new(CustomFields { store: store.clone() }),
        webhook_service: Arc::new(Webhooks { store: store.clone(), vault, allowed }),
        event_service: Arc::new(Events {
            store: store.clone(),
            feeds: Feeds::new(store.clone()),
            types: event_types,
        }),
        audit_service: Arc::new(Audits { store: store.clone() }),
        ticket_service: Arc::new(Tickets {
            store: store.clone(),
            limiter: Some(Arc::clone(&limiter)),
            outbox,
        }),
        compat_service: Arc::new(Compat { store: store.clone(), outbox }),
        email_service: Arc::new(Emails { store: store.clone(), outbox }),
        usage_service: Arc::new(Usages { store: store.clone(), clock: clock.clone() }),
        key_service: Arc::new(Keys { store, ring, leaks, limiter, clock }),
    };
    Api {
        bindings: services.bindings(),
        add_servers: Box::new(|routes| services.add_servers(routes, BODY_BYTES_MAX)),
    }
}

/// Makes the dispatcher, which sends webhooks and e-mails.
pub fn dispatcher(
    store: &Store,
    clock: &Clock,
    webhooks: &webhooks::Settings,
    email: Option<&email::Settings>,
) -> Dispatcher {
    let emails = email.map(|email| EmailDeliveries {
        sender: email.sender(),
        settle: service::emails::settle(store),
    });
    Dispatcher {
        store: store.clone(),
        clock: clock.clone(),
        schedule: webhooks.schedule.clone(),
        events: EventDeliveries::new(webhooks, clock, service::webhooks::disable(store)),
        emails,
    }
}
