//! Who asks, keys, members and the audit log.

use holdfast_model::{
    audit::{AuditList, Verified},
    key::{CreateKey, CreatedKey, KeyView, RotateKey},
    me::Me,
    member::Members,
};

use super::Client;
use crate::cli::{audit::ListArguments, failure::Failure};

impl Client {
    /// `GET /v1/me`.
    pub async fn me(&self) -> Result<Me, Failure> {
        self.get(&["me"], &[]).await
    }

    /// `GET /v1/keys`.
    pub async fn keys(&self) -> Result<Vec<KeyView>, Failure> {
        self.get(&["keys"], &[]).await
    }

    /// `POST /v1/keys`.
    pub async fn create_key(&self, request: &CreateKey) -> Result<CreatedKey, Failure> {
        self.read(self.http.post(self.url(&["keys"])?).json(request)).await
    }

    /// `POST /v1/keys/{id}/rotate`.
    pub async fn rotate_key(&self, id: &str, request: &RotateKey) -> Result<CreatedKey, Failure> {
        self.read(self.http.post(self.url(&["keys", id, "rotate"])?).json(request)).await
    }

    /// `DELETE /v1/keys/{id}`.
    pub async fn revoke_key(&self, id: &str) -> Result<KeyView, Failure> {
        self.read(self.http.delete(self.url(&["keys", id])?)).await
    }

    /// `GET /v1/members`.
    pub async fn members(&self) -> Result<Members, Failure> {
        self.get(&["members"], &[]).await
    }

    /// `GET /v1/audit`.
    pub async fn audit(&self, asked: &ListArguments) -> Result<AuditList, Failure> {
        let query: Vec<(&str, String)> = [
            ("who", asked.who.clone()),
            ("action", asked.action.clone()),
            ("subject", asked.subject.clone()),
            ("since", asked.since.clone()),
            ("limit", Some(asked.limit.to_string())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
        self.get(&["audit"], &query).await
    }

    /// `GET /v1/audit/verify`.
    pub async fn verify_audit(&self) -> Result<Verified, Failure> {
        self.get(&["audit", "verify"], &[]).await
    }
}
