//! The service's own answers, kept as files for the bare server to give.

use std::path::Path;

use orqit::pb;
use orqit::pb::system_service_client::SystemServiceClient;
use orqit::pb::ticket_service_client::TicketServiceClient;
use prost::Message;
use serde_json::Value;
use tonic::transport::Endpoint;

use crate::load::http1;
use crate::scenarios::{GRPC_LIST, GRPC_PING, GRPC_TICKET, LIST, PING};
use crate::service::Service;

/// The answers as bytes, by the names of their files.
pub const REST: [&str; 3] = ["ping.json", "ticket.json", "list.json"];
pub const GRPC: [(&str, &str); 3] =
    [(GRPC_PING, "ping.bin"), (GRPC_TICKET, "ticket.bin"), (GRPC_LIST, "list.bin")];

/// Asks the service every question once, and answers how many tickets it has.
pub async fn capture(service: &Service, folder: &Path) -> Result<u32, String> {
    let list = fetch(service, LIST).await?;
    let page: Value = serde_json::from_slice(&list).map_err(|error| error.to_string())?;
    let tickets = page["meta"]["totalCount"].as_u64().ok_or("the list tells no totalCount")?;
    // One from the middle, whose number has as many digits as most.
    let id = (tickets / 2).max(1).to_string();
    let ticket = fetch(service, &format!("/api/public/v1/tickets/{id}")).await?;
    let ping = fetch(service, PING).await?;
    for (name, bytes) in REST.iter().zip([ping, ticket, list]) {
        keep(folder, name, &bytes)?;
    }
    capture_grpc(service, folder, id).await.map_err(|error| format!("gRPC: {error}"))?;
    Ok(u32::try_from(tickets).unwrap_or(u32::MAX))
}

async fn fetch(service: &Service, path: &str) -> Result<Vec<u8>, String> {
    let fetched = http1::fetch(service.server.address, path, &service.keys[0]).await;
    fetched.map_err(|error| format!("{path}: {error}"))
}

async fn capture_grpc(
    service: &Service,
    folder: &Path,
    id: String,
) -> Result<(), Box<dyn std::error::Error>> {
    let channel = Endpoint::from_shared(format!("http://{}", service.server.address))?;
    let channel = channel.connect().await?;
    let mut systems = SystemServiceClient::new(channel.clone());
    let ping = systems.ping(pb::PingRequest {}).await?.into_inner();
    let mut tickets = TicketServiceClient::new(channel);
    let ticket = tickets
        .get_ticket(service.signed(pb::GetTicketRequest { id, ..Default::default() }))
        .await?
        .into_inner();
    let list = pb::ListTicketsRequest { page: Some(1), per_page: Some(20), ..Default::default() };
    let list = tickets.list_tickets(service.signed(list)).await?.into_inner();
    let answers = [ping.encode_to_vec(), ticket.encode_to_vec(), list.encode_to_vec()];
    for ((_, name), bytes) in GRPC.iter().zip(answers) {
        keep(folder, name, &bytes)?;
    }
    Ok(())
}

fn keep(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), String> {
    let kept = std::fs::write(folder.join(name), bytes);
    kept.map_err(|error| format!("cannot write {name}: {error}"))
}
