//! How much of a worker one project may take at a time, so that its slow receivers leave room for the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use postern_entity::ProjectId;

/// Counts by project. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Shares {
    most: usize,
    taken: Arc<Mutex<HashMap<ProjectId, usize>>>,
}

/// One of a project's; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Shares,
    project_id: ProjectId,
}

impl Shares {
    /// At most so many for each project.
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes one, unless the project has as many as it may.
    pub(super) fn take(&self, project_id: &ProjectId) -> Option<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(project_id.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { of: self.clone(), project_id: project_id.clone() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.project_id) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.project_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_takes_no_more_than_its_share_and_gives_it_back() {
        let (shares, one, other) = (Shares::new(2), ProjectId("one".to_owned()), ProjectId("other".to_owned()));
        let first = shares.take(&one);
        let second = shares.take(&one);
        assert!(first.is_some() && second.is_some() && shares.take(&one).is_none());
        assert!(shares.take(&other).is_some());
        drop(first);
        assert!(shares.take(&one).is_some());
        drop(second);
        assert!(shares.taken.lock().unwrap().is_empty());
    }
}
