use gigapi_model::CatalogId;
use uuid::Uuid;

use super::*;

fn id(number: u128) -> CatalogId {
    CatalogId::from_uuid(Uuid::from_u128(number))
}

fn table(number: u128) -> TableId {
    TableId::from_uuid(Uuid::from_u128(number))
}

/// A catalog of epoch 2 with so many tables, the first of which is table 1, at revision 3.
fn catalog(tables: u128, checkpointed: &[(u128, Option<u64>)]) -> CatalogView {
    let checkpointed = checkpointed.iter().map(|(number, version)| (table(*number), *version)).collect();
    let revisions = (1..=tables).map(|number| (table(number), Some(3))).collect();
    CatalogView { id: Some(id(1)), epoch: 2, revisions, checkpointed }
}

fn layers(owners: &[Option<u128>], checkpoints: &[(u128, u64, u64)]) -> LayersView {
    let named =
        |(index, owner): (usize, &Option<u128>)| (LayerName::new(&format!("layer{index}")).unwrap(), owner.map(id));
    let name = |(number, epoch, version): &(u128, u64, u64)| CheckpointName {
        table: table(*number),
        epoch: *epoch,
        version: *version,
    };
    LayersView {
        owners: owners.iter().enumerate().map(named).collect(),
        checkpoints: checkpoints.iter().map(name).collect(),
        definitions: Vec::new(),
        dropped: HashSet::new(),
        begun: HashSet::new(),
        taken: 0,
    }
}

#[test]
fn nothing_anywhere_is_fresh() {
    assert_eq!(detect(&catalog(0, &[]), &layers(&[None, None], &[])).unwrap(), Condition::Fresh);
}

#[test]
fn own_layers_without_tables_are_healthy() {
    assert_eq!(detect(&catalog(0, &[]), &layers(&[Some(1), None], &[])).unwrap(), Condition::Healthy);
}

#[test]
fn an_empty_catalog_over_another_ones_layer_was_lost() {
    let lost = Condition::Recovering { catalog: id(7) };
    assert_eq!(detect(&catalog(0, &[]), &layers(&[None, Some(7)], &[])).unwrap(), lost);
    assert_eq!(detect(&catalog(0, &[]), &layers(&[Some(7)], &[(1, 1, 5)])).unwrap(), lost);
}

#[test]
fn an_empty_catalog_over_a_checkpoint_was_lost() {
    let seen = layers(&[Some(1)], &[(5, 1, 9)]);
    assert_eq!(detect(&catalog(0, &[]), &seen).unwrap(), Condition::Recovering { catalog: id(1) });
    assert_eq!(detect(&catalog(0, &[(5, None)]), &seen).unwrap(), Condition::Healthy, "the table was dropped");
    let buried = LayersView { dropped: HashSet::from([table(5)]), ..seen };
    assert_eq!(detect(&catalog(0, &[]), &buried).unwrap(), Condition::Healthy);
}

#[test]
fn a_catalog_without_identity_is_new_or_was_emptied() {
    let nobody = CatalogView { id: None, epoch: 0, ..catalog(0, &[]) };
    assert_eq!(detect(&nobody, &layers(&[None], &[])).unwrap(), Condition::Fresh);
    assert_eq!(detect(&nobody, &layers(&[Some(7)], &[])).unwrap(), Condition::Recovering { catalog: id(7) });
}

#[test]
fn a_catalog_behind_a_checkpoint_was_rolled_back() {
    let behind = |known: Option<u64>, epoch, version| {
        let catalog = catalog(1, &known.map(|known| (5, Some(known))).into_iter().collect::<Vec<_>>());
        detect(&catalog, &layers(&[Some(1)], &[(5, epoch, version)])).unwrap()
    };
    assert_eq!(behind(Some(9), 2, 9), Condition::Healthy);
    assert_eq!(behind(Some(1), 1, 9), Condition::Healthy, "an older epoch's versions do not count");
    assert!(matches!(behind(Some(8), 2, 9), Condition::RolledBack(Evidence::Checkpoint { version: 8, .. })));
    assert!(matches!(behind(Some(99), 3, 9), Condition::RolledBack(Evidence::Checkpoint { version: 99, .. })));
    assert!(matches!(behind(None, 2, 1), Condition::RolledBack(Evidence::Checkpoint { version: 0, .. })));
}

#[test]
fn a_catalog_behind_a_definition_was_rolled_back() {
    let mut catalog = catalog(1, &[]);
    catalog.revisions.insert(table(9), None);
    let behind = |number, epoch, revision| {
        let definitions = vec![DefinitionName { table: table(number), epoch, revision }];
        detect(&catalog, &LayersView { definitions, ..layers(&[Some(1)], &[]) }).unwrap()
    };
    assert_eq!(behind(1, 2, 3), Condition::Healthy);
    assert_eq!(behind(1, 1, 9), Condition::Healthy, "an older epoch's revisions do not count");
    assert_eq!(behind(9, 2, 3), Condition::Healthy, "the table was dropped");
    assert!(matches!(behind(1, 2, 4), Condition::RolledBack(Evidence::Definition { revision: 3, .. })));
    assert!(matches!(behind(1, 3, 1), Condition::RolledBack(Evidence::Definition { revision: 3, .. })));
    assert!(matches!(behind(5, 2, 1), Condition::RolledBack(Evidence::Definition { revision: 0, .. })));
}

#[test]
fn a_catalog_that_goes_on_with_a_dropped_table_was_rolled_back() {
    let seen = LayersView { dropped: HashSet::from([table(1)]), ..layers(&[Some(1)], &[]) };
    assert_eq!(
        detect(&catalog(2, &[]), &seen).unwrap(),
        Condition::RolledBack(Evidence::Tombstone { table: table(1) })
    );
    assert_eq!(detect(&catalog(0, &[]), &seen).unwrap(), Condition::Healthy);
}

#[test]
fn foreign_and_mixed_layers_are_refused() {
    let foreign = detect(&catalog(1, &[]), &layers(&[None, Some(7)], &[])).unwrap_err();
    assert!(matches!(&foreign, Error::ForeignLayer { layer, .. } if layer == "layer1"), "{foreign}");
    let mixed = detect(&catalog(0, &[]), &layers(&[Some(1), Some(7)], &[])).unwrap_err();
    assert!(matches!(&mixed, Error::MixedLayers { layer, .. } if layer == "layer1"), "{mixed}");
    let unmarked = detect(&catalog(0, &[]), &layers(&[None], &[(1, 1, 1)])).unwrap_err();
    assert!(matches!(unmarked, Error::NoMarkerButCheckpoints { .. }), "{unmarked}");
}

#[test]
fn a_catalog_of_an_earlier_epoch_than_a_rebuild_has_taken_was_rolled_back() {
    let at = |taken| LayersView { taken, ..layers(&[Some(1)], &[]) };
    assert_eq!(detect(&catalog(1, &[]), &at(2)).unwrap(), Condition::Healthy);
    let evidence = Evidence::Epoch { taken: 3, epoch: 2 };
    assert_eq!(detect(&catalog(1, &[]), &at(3)).unwrap(), Condition::RolledBack(evidence));
    assert_eq!(evidence.to_string(), "it is at epoch 2, a rebuild has taken epoch 3");
}
