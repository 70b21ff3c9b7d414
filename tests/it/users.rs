//! Users: an address is unique in its workspace whatever its case, in every script.

use orqit::pb;
use orqit::pb::user_service_client::UserServiceClient;
use orqit::store::{Settings, Store, User};
use sea_orm::ConnectionTrait;
use serde_json::json;
use tonic::Code;

use crate::support::database::{TestStore, actor};
use crate::support::grpc::assert_refused;
use crate::support::requests::vpn_with;
use crate::support::server::{Orqit, with_key};

/// Each with the ways of writing it that are the same address.
const ADDRESSES: [(&str, &[&str]); 4] = [
    ("ana@example.com", &["Ana@EXAMPLE.com"]),
    ("οδοσ@x.gr", &["ΟΔΟΣ@x.gr", "οδος@x.gr", "οδοΣ@X.GR"]),
    ("strasse@x.de", &["Straße@x.de", "STRASSE@x.de"]),
    ("élan@x.fr", &["ÉLAN@x.fr", "e\u{301}lan@x.fr"]),
];

#[tokio::test]
async fn an_address_is_unique_by_case_folding_over_both_protocols() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    let mut users = UserServiceClient::new(orqit.channel().await);
    for (email, others) in ADDRESSES {
        let made = rest.post("/users", json!({"displayName": "A", "email": email})).await;
        assert_eq!(made.data(201)["email"], email);
        for other in others {
            let again = rest.post("/users", json!({"displayName": "B", "email": other})).await;
            again.error(409, "ALREADY_EXISTS");
            let (display_name, email) = ("B".to_owned(), (*other).to_owned());
            let again = pb::CreateUserRequest { display_name, email, ..Default::default() };
            let status = users.create_user(with_key(&key, again)).await.expect_err("taken");
            assert_refused(&status, Code::AlreadyExists, "ALREADY_EXISTS");
            let tx = orqit.store.begin(orqit.workspace.id, actor()).await.expect("begun");
            let found = tx.find_folded::<User>("email_key", other).await.expect("read");
            let found = found.expect("found");
            assert_eq!(found.email, made.data(201)["email"]);
        }
    }
    // Marks are letters of their own, and so is a dotless i.
    for other in ["elan@x.fr", "οδο@x.gr", "ı@x.tr", "i@x.tr"] {
        rest.post("/users", json!({"displayName": "C", "email": other})).await.data(201);
    }
}

/// Users as the version before folding has stored them, by their addresses in lower case; the step
/// that folds is still to come.
async fn before_folding(emails: &[&str]) -> TestStore {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    for number in 0..emails.len() {
        let email = format!("user-{number}@example.com");
        let role = orqit::store::Role::EndUser;
        tx.insert(orqit::store::User::new("U", &email, role, tx.now())).await.unwrap();
    }
    tx.commit().await.unwrap();
    let database = test.database.connect().await;
    for (number, email) in emails.iter().enumerate() {
        let (key, was) = (email.to_lowercase(), format!("user-{number}@example.com"));
        let update = format!(
            "UPDATE users SET email = '{email}', email_key = '{key}' WHERE email = '{was}'"
        );
        database.execute_unprepared(&update).await.unwrap();
    }
    let step = "DELETE FROM seaql_migrations WHERE version = 'm0015_folded_emails'";
    database.execute_unprepared(step).await.unwrap();
    test
}

#[tokio::test]
async fn addresses_that_are_there_are_folded_once() {
    // The first takes the key that the second had.
    let emails = ["ΟΔΟΣ@x.gr", "ΤΟΙΣ@x.gr", "plain@x.gr", "Straße@x.de"];
    let test = before_folding(&emails).await;
    let store = test.database.open(test.clock.clone()).await;
    let tx = store.begin(test.workspace.id, actor()).await.unwrap();
    for (other, email) in [
        ("οδοσ@x.gr", "ΟΔΟΣ@x.gr"),
        ("τοις@x.gr", "ΤΟΙΣ@x.gr"),
        ("PLAIN@x.gr", "plain@x.gr"),
        ("strasse@x.de", "Straße@x.de"),
    ] {
        let found = tx.find_folded::<User>("email_key", other).await.unwrap().expect("found");
        assert_eq!(found.email, email);
    }
}

#[tokio::test]
async fn two_users_who_become_one_are_told_and_nothing_is_changed() {
    for emails in [["οδοσ@x.gr", "οδος@x.gr"], ["strasse@x.de", "straße@x.de"]] {
        let test = before_folding(&emails).await;
        let (url, settings) = (test.database.url(), Settings::default());
        let refused = Store::open(url, &settings, test.clock.clone()).await;
        let refused = orqit::error::causes(&refused.expect_err("they are one"));
        for told in ["default", emails[0], emails[1], "give one of them another address"] {
            assert!(refused.contains(told), "{told}: {refused}");
        }
        let database = test.database.connect().await;
        let query = sea_orm::Statement::from_string(
            database.get_database_backend(),
            "SELECT email_key FROM users WHERE email LIKE '%@x.%' ORDER BY id",
        );
        let rows = database.query_all_raw(query).await.unwrap();
        let keys = rows.into_iter().map(|row| row.try_get_by_index(0).unwrap());
        assert_eq!(keys.collect::<Vec<String>>(), emails.map(str::to_lowercase));
    }
}

#[tokio::test]
async fn a_person_who_is_erased_is_told_nowhere() {
    let orqit = Orqit::start().await;
    let key = orqit.key(&["admin"]).await;
    let rest = orqit.rest(&key);
    let ann = json!({
        "displayName": "Ann Example", "email": "ann@example.com", "phone": "+351 1", "title": "CFO",
        "department": "Finance", "timezone": "Europe/Lisbon", "locale": "pt-PT", "role": "AGENT",
    });
    let made = rest.post("/users", ann.clone()).await.data(201);
    let id = made["id"].as_i64().expect("an id");
    rest.post("/tickets", vpn_with(json!({ "requesterId": id }))).await.data(201);
    let path = format!("/users/{id}/anonymize");
    rest.post(&path, json!({"version": 9})).await.error(412, "VERSION_CONFLICT");
    let before = orqit.events().await.len();
    let erased = rest.post(&path, json!({})).await;
    assert_eq!(erased.header("etag"), Some("\"2\""));
    let erased = erased.data(200);
    assert_eq!(erased["displayName"], "Anonymized user");
    assert_eq!((&erased["status"], &erased["role"]), (&json!("SUSPENDED"), &json!("AGENT")));
    for field in ["phone", "title", "department", "timezone", "locale"] {
        assert!(erased[field].is_null(), "{field}");
    }
    assert_eq!(rest.get(&format!("/users/{id}")).await.data(200), erased);
    // Again it changes nothing.
    assert_eq!(rest.post_raw(&path, "").await.data(200), erased);
    let events = orqit.payloads().await;
    assert_eq!(events.len() - before, 1);
    let data = &events.last().expect("an event")["data"];
    assert!(
        data["changedFields"].as_array().is_some_and(|fields| fields.contains(&json!("email")))
    );
    assert_eq!(data["previous"], json!({}));
    let audited = rest.get("/audit-logs?resourceType=user").await.data(200);
    let entry = &audited[0];
    assert_eq!(
        (&entry["action"], &entry["resourceId"]),
        (&json!("user.anonymize"), &json!(id.to_string()))
    );
    assert_eq!((&entry["before"], &entry["after"]), (&json!(null), &json!(null)));
    for query in ["q=ann", "email=ann@example.com", "department=finance"] {
        let found = rest.get(&format!("/users?{query}")).await.data(200);
        assert_eq!(found, json!([]), "{query}");
    }
    assert_eq!(rest.get("/tickets/1").await.data(200)["requesterId"], id);
    // The address is free again.
    rest.post("/users", ann).await.data(201);
    rest.post("/users/2/anonymize", json!({})).await.error(409, "SYSTEM_USER");
    rest.post("/users/99/anonymize", json!({})).await.error(404, "USER_NOT_FOUND");
    let mut users = UserServiceClient::new(orqit.channel().await);
    let request = pb::AnonymizeUserRequest { id: "1".into(), version: None };
    let erased = users.anonymize_user(with_key(&key, request)).await.expect("erased").into_inner();
    assert!(erased.user.expect("a user").email.ends_with("@anonymized.invalid"));
}
