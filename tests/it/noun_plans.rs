//! No list of articles, assets, e-mails, projects, tasks or webhooks, however filtered and ordered, reads its whole table.

use orqit::clock::Date;
use orqit::store::articles::Article;
use orqit::store::assets::Asset;
use orqit::store::emails::{Email, EmailStatus};
use orqit::store::projects::Project;
use orqit::store::tasks::Task;
use orqit::store::webhooks::{Webhook, WebhookStatus};

use crate::query_plans::assert_no_scan;
use crate::support::database::{TestStore, actor};
use crate::support::tickets::{new_asset, new_ticket, new_webhook};

#[tokio::test]
async fn no_list_of_articles_scans_the_table() {
    let test = TestStore::create().await;
    for number in 0..20_i64 {
        test.clock.advance_millis(1000);
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100_i16 {
            let article = Article {
                id: 0,
                slug: format!("article-{number}-{place}"),
                title: "VPN".to_owned(),
                summary: None,
                body: "Wait.".to_owned(),
                kind: place % 4 + 1,
                status: place % 3 + 1,
                category: Some(format!("Category {}", place % 50)),
                tags: vec![format!("tag-{}", place % 50)],
                published_at: None,
                created_at: test.clock.now(),
                updated_at: test.clock.now(),
                version: 1,
            };
            tx.insert(article).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<Article>(&test, now.plus_millis(-18_000), now).await;
}

#[tokio::test]
async fn no_list_of_emails_scans_the_table() {
    let test = TestStore::create().await;
    let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
    for _ in 0..50_i64 {
        tx.insert_ticket(new_ticket("VPN")).await.unwrap();
    }
    tx.commit().await.unwrap();
    let statuses = [EmailStatus::Queued, EmailStatus::Sent, EmailStatus::Failed, EmailStatus::Held];
    for _ in 0..20_i64 {
        test.clock.advance_millis(1000);
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100_i64 {
            let email = Email {
                id: 0,
                recipients: vec!["ana@example.com".to_owned()],
                copies: Vec::new(),
                subject: "VPN".to_owned(),
                text_body: Some("Wait.".to_owned()),
                html_body: None,
                reply_to: None,
                status: statuses[(place % 4) as usize],
                attempt_count: 0,
                last_error: None,
                response: None,
                ticket_id: Some(place % 50 + 1),
                sent_at: None,
                created_at: test.clock.now(),
                updated_at: test.clock.now(),
                version: 1,
            };
            tx.insert(email).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<Email>(&test, now.plus_millis(-18_000), now).await;
}

#[tokio::test]
async fn no_list_of_webhooks_scans_the_table() {
    let test = TestStore::create().await;
    for _ in 0..20_i64 {
        test.clock.advance_millis(1000);
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100_i64 {
            let status =
                if place % 5 == 0 { WebhookStatus::Disabled } else { WebhookStatus::Active };
            tx.insert(Webhook { status, ..new_webhook(test.clock.now()) }).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<Webhook>(&test, now.plus_millis(-18_000), now).await;
}

#[tokio::test]
async fn no_list_of_assets_scans_the_table() {
    let test = TestStore::create().await;
    for number in 0..20_i64 {
        test.clock.advance_millis(1000);
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100_i16 {
            let asset = Asset {
                asset_type: place % 9 + 1,
                status: place % 9 + 1,
                serial_number: Some(format!("{number}-{place}")),
                manufacturer: Some(format!("Maker {}", place % 50)),
                assigned_user_id: (place % 10 == 0).then_some(1),
                location: Some(format!("Room {}", place % 50)),
                warranty_expires_at: (place % 2 == 0).then(|| Date::of(test.clock.now())),
                tags: vec![format!("tag-{}", place % 50)],
                ..new_asset(&format!("tag-{number}-{place}"), test.clock.now())
            };
            tx.insert(asset).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<Asset>(&test, now.plus_millis(-18_000), now).await;
}

#[tokio::test]
async fn no_list_of_projects_or_tasks_scans_the_table() {
    let test = TestStore::create().await;
    for number in 0..20_i64 {
        test.clock.advance_millis(1000);
        let now = test.clock.now();
        let mut tx = test.store.begin(test.workspace.id, actor()).await.unwrap();
        for place in 0..100_i64 {
            let kind = i16::try_from(place).unwrap();
            let date = (place % 2 == 0).then(|| Date::of(now));
            let project = Project {
                id: 0,
                code: format!("P{number}X{place}"),
                name: format!("Project {place}"),
                description: None,
                status: kind % 5 + 1,
                lead_id: (place % 20 == 0).then_some(1),
                start_date: None,
                due_date: date,
                created_at: now,
                updated_at: now,
                version: 1,
            };
            let project = tx.insert(project).await.unwrap();
            let task = Task {
                id: 0,
                task_number: format!("{}-1", project.code),
                project_id: project.id % 10 + 1,
                title: "Pack".to_owned(),
                description: None,
                priority: kind % 4 + 1,
                status: kind % 6 + 1,
                assignee_id: (place % 20 == 0).then_some(1),
                due_date: date,
                estimate_minutes: None,
                ticket_id: None,
                completed_at: None,
                created_at: now,
                updated_at: now,
                version: 1,
            };
            if number > 0 {
                tx.insert(task).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
    }
    let now = test.clock.now();
    assert_no_scan::<Project>(&test, now.plus_millis(-18_000), now).await;
    assert_no_scan::<Task>(&test, now.plus_millis(-18_000), now).await;
}
