//! `orqit whoami`: who the key is, what it may do and until when.

use super::ClientArgs;
use super::client::{self, sentence};
use crate::clock::Timestamp;
use crate::pb;

/// Asks the service about the key and prints the answer.
pub async fn run(args: &ClientArgs) -> Result<(), String> {
    let client = client::connect(args).await?;
    let refused = |status| sentence(&status);
    let own = client.keys().get_self(pb::GetSelfRequest {}).await.map_err(refused)?;
    let key = own.into_inner().key.ok_or("the service answered without a key")?;
    let accounts = client.keys().list_accounts(pb::ListAccountsRequest::default()).await;
    let accounts = accounts.map_err(refused)?.into_inner().accounts;
    let expiry = key.expires_at.map(|time| Timestamp::from(time).to_rfc3339());
    println!("key        {} (orq_{}_…{})", key.name, key.id, key.last_four);
    for account in accounts {
        println!("workspace  {} ({})", account.name, account.slug);
    }
    println!("scopes     {}", key.scopes.join(", "));
    println!("expires    {}", expiry.as_deref().unwrap_or("never"));
    if let Some(limits) = key.limits {
        let count =
            |limit| if limit == 0 { "unlimited".to_owned() } else { format!("{limit} a minute") };
        println!(
            "limits     {}, {} a group",
            count(limits.per_minute),
            count(limits.group_per_minute)
        );
    }
    Ok(())
}
