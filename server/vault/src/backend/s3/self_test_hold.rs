//! Does the bucket hold what is sealed, and nothing else?

use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::S3Backend;
use super::fault::Fault;
use super::hold::{IfHeld, Retention, RetentionMode};
use super::self_test::{Seen, Tried};

/// For how long the test's own object is held. Clocks may differ by a little.
const PERIODS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];
/// After its time, the store gets this much more to let it go.
const MARGIN: Duration = Duration::from_millis(1500);

impl S3Backend {
    /// Only where a retention is asked for.
    pub(super) async fn try_holding(&self, tried: &mut Tried<'_>, folder: &str, body: &Bytes) {
        let Some(retention) = self.store.options.retention else { return };
        tried.step("object lock", true, self.try_settings()).await;
        tried.step("lock file", true, self.try_lock(&format!("{folder}lock"), body)).await;
        tried.step("sealed object", true, self.try_sealed(&format!("{folder}sealed"), body, retention)).await;
    }

    async fn try_settings(&self) -> Seen {
        let none = "object lock comes with a new bucket: `aws s3api create-bucket --bucket NAME \
                    --object-lock-enabled-for-bucket` (or the store's own tool), and without a default retention";
        let default = "take the bucket's default retention away (`aws s3api put-object-lock-configuration --bucket NAME \
                       --object-lock-configuration ObjectLockEnabled=Enabled`): it would hold the lock files too";
        let settings = self.brief(|| self.store.lock_settings()).await.map_err(|fault| (fault, none))?;
        match (settings.enabled, settings.holds_all) {
            (false, _) => Err((Fault::NotOffered("the bucket has no object lock".into()), none)),
            (true, true) => Err((Fault::NotOffered("the bucket holds everything by default".into()), default)),
            (true, false) => Ok("the bucket has object lock".into()),
        }
    }

    async fn try_lock(&self, key: &str, body: &Bytes) -> Seen {
        let mend = "the access key needs s3:ListBucketVersions and s3:DeleteObjectVersion, and the bucket must hold \
                    nothing by default";
        self.put(key, body.clone(), None, None).await.map_err(|fault| (fault, mend))?;
        self.erase(key, IfHeld::Keep).await.map_err(|fault| (fault, mend))?;
        let left = self.versions(key).await.map_err(|fault| (fault, mend))?.len();
        if left > 0 {
            return Err((Fault::NotOffered(format!("{left} versions are left after it was removed")), mend));
        }
        Ok("what is not held can be removed, and nothing is left of it".into())
    }

    async fn try_sealed(&self, key: &str, body: &Bytes, retention: Retention) -> Seen {
        let mend = "the access key needs s3:PutObjectRetention, and the store must take and keep to a retention";
        let seal = |period| Some(Retention { period, ..retention });
        let mut outcome = Err(Fault::passing("not tried"));
        for period in PERIODS {
            outcome = self.put(key, body.clone(), None, seal(period)).await.map(|()| period);
            // Of a clock that runs ahead, the shorter period is over already.
            if outcome.is_ok() {
                break;
            }
        }
        let period = outcome.map_err(|fault| (fault, mend))?;
        let until = OffsetDateTime::now_utc() + period;
        let refusal = match self.erase(key, IfHeld::Keep).await {
            Err(fault @ (Fault::Held(_) | Fault::Final(std::io::ErrorKind::PermissionDenied, _))) => fault,
            Ok(()) if retention.mode == RetentionMode::Governance => {
                let mend = "take s3:BypassGovernanceRetention from this access key, or choose compliance";
                return Err((Fault::NotOffered("a sealed object was removed".into()), mend));
            }
            Ok(()) => return Err((Fault::NotOffered("a sealed object was removed".into()), mend)),
            Err(fault) => return Err((fault, mend)),
        };
        tokio::time::sleep(period + MARGIN).await;
        match self.erase(key, IfHeld::Keep).await {
            Ok(()) => {
                Ok(format!("refused to remove what is sealed ({}), and let it go after its time", refusal.text()))
            }
            Err(_) => {
                Ok(format!("refused to remove what is sealed; {key} is left behind, to be removed after {until}"))
            }
        }
    }
}
