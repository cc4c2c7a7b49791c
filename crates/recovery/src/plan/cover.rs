//! Exact cover: sets that together hold every leaf once.
//!
//! Leaves that share no set are independent, so the search runs per component; nearly all components are a single
//! leaf. Inside one it takes the scarcest leaf first and the smallest set first, and goes back where that leads
//! nowhere: taking a set and being content loses rows when merges overlap. Smallest first, because a set of one leaf
//! is a file as it was committed, whose place in the table's order is plain; a merge is taken where its inputs are
//! gone. The search is bounded.

/// Beyond this many tries the material is not a history of this system.
const TRIES_MAX: usize = 1_000_000;

/// Why there is no cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoCover {
    /// No choice of sets holds this leaf together with its neighbours.
    Leaf(usize),
    /// The search was given up.
    Tangled,
}

/// Indices of sets that hold each of the leaves `0..leaves` exactly once. Sets hold no leaf twice.
pub(crate) fn exact(leaves: usize, sets: &[Vec<usize>]) -> Result<Vec<usize>, NoCover> {
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); leaves];
    let mut parents: Vec<usize> = (0..leaves).collect();
    for (index, set) in sets.iter().enumerate() {
        for leaf in set {
            holders[*leaf].push(index);
            let (a, b) = (root(&mut parents, set[0]), root(&mut parents, *leaf));
            parents[a] = b;
        }
    }
    for held_by in &mut holders {
        held_by.sort_by_key(|index| sets[*index].len());
    }
    let mut components: Vec<Vec<usize>> = vec![Vec::new(); leaves];
    for leaf in 0..leaves {
        components[root(&mut parents, leaf)].push(leaf);
    }
    let mut search = Search { sets, holders: &holders, covered: vec![false; leaves], chosen: Vec::new(), tries: 0 };
    for mut component in components {
        component.sort_by_key(|leaf| holders[*leaf].len());
        search.solve(&component)?;
    }
    search.chosen.sort_unstable();
    Ok(search.chosen)
}

fn root(parents: &mut [usize], leaf: usize) -> usize {
    let mut at = leaf;
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

struct Search<'a> {
    sets: &'a [Vec<usize>],
    holders: &'a [Vec<usize>],
    covered: Vec<bool>,
    chosen: Vec<usize>,
    tries: usize,
}

/// One decision: the leaf that was decided, and which of its sets is in force.
struct Decision {
    /// Place in the component.
    at: usize,
    /// Place among the leaf's sets.
    choice: usize,
}

impl Search<'_> {
    /// Covers one component, with a stack of decisions instead of recursion: components may be large.
    fn solve(&mut self, component: &[usize]) -> Result<(), NoCover> {
        let mut decisions: Vec<Decision> = Vec::new();
        let mut deepest = 0;
        let (mut at, mut choice) = (0, 0);
        loop {
            while at < component.len() && self.covered[component[at]] {
                at += 1;
            }
            let Some(&leaf) = component.get(at) else { return Ok(()) };
            deepest = deepest.max(at);
            if let Some(taken) = self.take(leaf, choice)? {
                decisions.push(Decision { at, choice: taken });
                choice = 0;
            } else {
                let Some(last) = decisions.pop() else { return Err(NoCover::Leaf(component[deepest])) };
                self.undo();
                (at, choice) = (last.at, last.choice + 1);
            }
        }
    }

    /// Takes the first set of the leaf from `from` on that overlaps nothing covered; answers its place.
    fn take(&mut self, leaf: usize, from: usize) -> Result<Option<usize>, NoCover> {
        for (place, &index) in self.holders[leaf].iter().enumerate().skip(from) {
            self.tries += 1;
            if self.tries > TRIES_MAX + self.covered.len() {
                return Err(NoCover::Tangled);
            }
            let set = &self.sets[index];
            if set.iter().all(|leaf| !self.covered[*leaf]) {
                set.iter().for_each(|leaf| self.covered[*leaf] = true);
                self.chosen.push(index);
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    fn undo(&mut self) {
        if let Some(index) = self.chosen.pop() {
            self.sets[index].iter().for_each(|leaf| self.covered[*leaf] = false);
        }
    }
}

#[cfg(test)]
mod tests;
