//! A flush's objects on their way to the first layer.

use futures::StreamExt;
use gigapi_storage::Layers;

use super::encode::Prepared;

/// Objects that are sent to a remote layer at once.
const UPLOADS_AT_ONCE: usize = 8;

/// Makes all objects durable on the first layer. Objects are handed over, so memory goes as they go.
pub(super) async fn upload(layers: &Layers, prepared: &mut [Prepared]) -> gigapi_storage::Result<()> {
    let objects: Vec<_> = prepared.iter_mut().flat_map(|prepared| std::mem::take(&mut prepared.objects)).collect();
    let layer = layers.first();
    match &layer.local {
        Some(local) => local.put_files(objects).await,
        None => {
            let puts = objects.into_iter().map(|(path, bytes)| async move { layer.upload(&path, bytes).await });
            let mut puts = futures::stream::iter(puts).buffer_unordered(UPLOADS_AT_ONCE);
            while let Some(put) = puts.next().await {
                put?;
            }
            Ok(())
        }
    }
}
