//! The articles of the demo's knowledge base.

use std::sync::Arc;

use super::{by, refused};
use crate::auth::caller::Caller;
use crate::error::Error;
use crate::pb::knowledge_service_server::KnowledgeService;
use crate::pb::{ArticleKind, ArticleStatus, CreateArticleRequest, UpdateArticleRequest};
use crate::service::articles::Articles;
use crate::store::Store;

/// An article of the demo: its kind, title, summary, body and category, and whether it is published.
type Text = (ArticleKind, &'static str, &'static str, &'static str, &'static str, bool);

const TEXTS: [Text; 5] = [
    (
        ArticleKind::Faq,
        "Reset your password",
        "You need your phone and two minutes.",
        "1. Open **Settings → Security** and choose *Reset password*.\n2. Confirm the message on your phone.\n3. Choose a new password of at least 14 characters.\n\nNo phone at hand? Call the desk: we ask two questions and send a code to your manager.",
        "Accounts",
        true,
    ),
    (
        ArticleKind::Faq,
        "Como peço um computador novo?",
        "Os pedidos passam pela chefia e demoram cerca de uma semana.",
        "Abra um pedido do tipo **SERVICE_REQUEST** na categoria Hardware, com o modelo e o centro de custo. A chefia aprova, nós encomendamos.\n\nPara uma avaria, abra antes um incidente.",
        "Hardware",
        true,
    ),
    (
        ArticleKind::HowTo,
        "VPN im Homeoffice einrichten",
        "In fünf Schritten vom Auspacken bis zur Verbindung.",
        "1. Notebook mit dem heimischen WLAN verbinden.\n2. Den VPN-Client starten, er liegt im Dock.\n3. Standort **Lissabon** wählen.\n4. Mit Kennwort und Telefon anmelden.\n5. Prüfen: das Schloss oben rechts leuchtet grün.",
        "Network",
        true,
    ),
    (
        ArticleKind::KnownError,
        "Drukarka na 2. piętrze gubi sterownik",
        "Po aktualizacji systemu trzeba dodać drukarkę od nowa.",
        "**Objaw:** zadania stoją w kolejce.\n\n**Obejście:** usuń drukarkę i dodaj ją ponownie jako `prn-2-east`. Producent pracuje nad poprawką.",
        "Hardware",
        true,
    ),
    (
        ArticleKind::Article,
        "What changes with the new mail server",
        "A draft for the announcement in spring.",
        "Mailboxes move over a weekend, by team. Nothing changes for those who read mail in the browser.",
        "E-mail",
        false,
    ),
];

/// Loads the articles.
pub async fn load(store: &Store, caller: &Arc<Caller>) -> Result<(), Error> {
    let articles = Articles { store: store.clone() };
    for text in &TEXTS {
        write(&articles, caller, text).await?;
    }
    Ok(())
}

async fn write(articles: &Articles, caller: &Arc<Caller>, text: &Text) -> Result<(), Error> {
    let (kind, title, summary, body, category, is_published) = *text;
    let create = CreateArticleRequest {
        title: title.to_owned(),
        body: body.to_owned(),
        summary: Some(summary.to_owned()),
        kind: Some(kind.into()),
        category: Some(category.to_owned()),
        ..CreateArticleRequest::default()
    };
    let created = articles.create_article(by(caller, create)).await.map_err(refused)?.into_inner();
    if let Some(article) = created.article.filter(|_| is_published) {
        let update = UpdateArticleRequest {
            id: article.id.to_string(),
            status: Some(ArticleStatus::Published.into()),
            ..UpdateArticleRequest::default()
        };
        articles.update_article(by(caller, update)).await.map_err(refused)?;
    }
    Ok(())
}
