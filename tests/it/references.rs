//! Rows that others refer to while they change.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::requests::vpn_with;
use crate::support::server::Orqit;

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_its_unique_value_holds_up_nobody_who_refers_to_it() {
    let orqit = Orqit::start().await;
    let limits = |new: &mut orqit::store::NewKey| (new.per_minute, new.group_per_minute) = (0, 0);
    let rest = orqit.rest(&orqit.key_with(&orqit.workspace, &["admin"], limits).await);
    let user = orqit.user("Ana").await;
    rest.post("/assets", json!({"name": "Laptop", "type": "LAPTOP"})).await.data(201);
    let mut running = JoinSet::new();
    for number in 0..60 {
        let rest = rest.clone();
        running.spawn(async move {
            match number % 3 {
                0 => {
                    let tag = json!({"assetTag": format!("NB-{number}")});
                    rest.patch("/assets/1", tag).await.data(200);
                }
                1 => {
                    let email = json!({"email": format!("ana-{number}@example.com")});
                    rest.patch(&format!("/users/{user}"), email).await.data(200);
                }
                _ => {
                    let ticket = json!({"assetIds": [1], "requesterId": user});
                    rest.post("/tickets", vpn_with(ticket)).await.data(201);
                }
            }
        });
    }
    running.join_all().await;
    assert_eq!(rest.get("/assets/1").await.data(200)["openTicketCount"], 20);
}
