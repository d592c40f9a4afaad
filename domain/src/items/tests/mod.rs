//! Items on both databases.
