//! Opening: migrations, an existing catalogue, a newer one, and who may read the file.

use std::os::unix::fs::PermissionsExt as _;

use holdfast::store::{Store, StoreError};
use holdfast_model::state::Proof;

use crate::catalogue::Catalogue;

crate::on_both!(an_existing_catalogue_opens_with_all_it_holds, a_newer_catalogue_is_refused, many_open_at_once);

async fn an_existing_catalogue_opens_with_all_it_holds(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let id = c.drilled(&environment, Proof::Proven).await;
    c.store.close().await;
    let again = Store::open(&c.url).await.unwrap();
    assert_eq!(again.checkpoint(&id).await.unwrap().proof, Proof::Proven);
    assert_eq!(again.environments().await.unwrap().len(), 1);
    again.ping().await.unwrap();
}

async fn a_newer_catalogue_is_refused(c: &Catalogue) {
    c.sql(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         select 99999999, 'from a newer version', success, checksum, 0 from _sqlx_migrations where version = 1",
    )
    .await;
    let refused = Store::open(&c.url).await;
    assert!(matches!(refused, Err(StoreError::Migrate(_))), "{:?}", refused.err());
}

async fn many_open_at_once(c: &Catalogue) {
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let url = c.url.clone();
            tokio::spawn(async move { Store::open(&url).await.map(|_| ()) })
        })
        .collect();
    for one in opening {
        one.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let c = Catalogue::sqlite().await;
    c.environment("p", "e").await;
    let folder = c.file().parent().unwrap().to_owned();
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
        seen += 1;
    }
    assert!(seen >= 2, "the catalogue and its log");
}

#[tokio::test]
async fn an_address_that_is_none_says_so() {
    for address in ["mysql://root:hunter2@localhost/x", "catalogue.db", "sqlite::memory:"] {
        let refused = Store::open(address).await.err().expect(address);
        assert!(matches!(refused, StoreError::Address(_)), "{refused}");
        assert!(!refused.to_string().contains("hunter2"));
    }
}
