//! Rules as they are written: `CLIENT, self, permission = "…"`. Decisions are made in `graphql::guard` of the gateway.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Ident, LitStr, Token,
    parse::{Parse, ParseStream},
};

/// What a caller must have proven; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Client,
    Server,
    Admin,
}

/// Whose API keys may use a field of a root type; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Keys {
    /// Nobody's: so it is unless the rule says something.
    None,
    /// Users'.
    User,
    /// Users' and teams'.
    Any,
}

/// Who may read a field, or get hold of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) level: Level,
    pub(crate) own: bool,
    pub(crate) permission: Option<String>,
    pub(crate) keys: Keys,
}

impl Rule {
    /// Whether some caller satisfies `other` but not this rule.
    pub(crate) fn is_narrower_than(&self, other: &Self) -> bool {
        if self.level != other.level {
            return self.level > other.level;
        }
        (self.own && !other.own) || (self.permission.is_some() && self.permission != other.permission)
    }

    /// Whether the decision needs to know whose object it is.
    pub(crate) fn needs_owner(&self) -> bool {
        self.own
    }

    /// The rule as an expression of type `guard::Rule`.
    pub(crate) fn expression(&self) -> TokenStream {
        let level = self.level_expression();
        let own = self.own;
        let permission = match &self.permission {
            Some(key) => quote!(::std::option::Option::Some(#key)),
            None => quote!(::std::option::Option::None),
        };
        let keys = match self.keys_expression() {
            Some(keys) => quote!(::std::option::Option::Some(#keys)),
            None => quote!(::std::option::Option::None),
        };
        quote!(crate::graphql::guard::Rule { level: #level, own: #own, permission: #permission, keys: #keys })
    }

    /// The rule as the directive of the SDL.
    pub(crate) fn directive(&self) -> TokenStream {
        let level = self.level_expression();
        let own =
            if self.own { quote!(::std::option::Option::Some(true)) } else { quote!(::std::option::Option::None) };
        let permission = match &self.permission {
            Some(key) => quote!(::std::option::Option::Some(::std::string::String::from(#key))),
            None => quote!(::std::option::Option::None),
        };
        let keys = match self.keys_expression() {
            Some(keys) => quote!(::std::option::Option::Some(#keys)),
            None => quote!(::std::option::Option::None),
        };
        quote!(directive = crate::graphql::guard::access::apply(#level, #own, #permission, #keys))
    }

    fn keys_expression(&self) -> Option<TokenStream> {
        match self.keys {
            Keys::None => None,
            Keys::User => Some(quote!(crate::graphql::guard::KeyOwners::User)),
            Keys::Any => Some(quote!(crate::graphql::guard::KeyOwners::Any)),
        }
    }

    /// The function that tells introspection whether the caller could use the object, or the field of one, that the rule
    /// stands on. Whose object it will be is not known there.
    pub(crate) fn visible(&self) -> TokenStream {
        self.visible_by("crate::graphql::guard::visible_to_clients")
    }

    /// The same for a field of a root type: there `self` and permissions need a user, and API keys must be named.
    pub(crate) fn visible_at_root(&self) -> TokenStream {
        let needs_user = self.own || self.permission.is_some();
        self.visible_by(match (needs_user, self.keys) {
            (true, Keys::None) => "crate::graphql::guard::visible_to_users_without_key",
            (true, Keys::User) => "crate::graphql::guard::visible_to_users",
            (true, Keys::Any) => "crate::graphql::guard::visible_to_users_and_keys",
            (false, Keys::None) => "crate::graphql::guard::visible_to_clients_without_key",
            (false, Keys::User) => "crate::graphql::guard::visible_to_clients_and_user_keys",
            (false, Keys::Any) => "crate::graphql::guard::visible_to_clients",
        })
    }

    fn visible_by(&self, to_clients: &str) -> TokenStream {
        let function = match self.level {
            Level::Client => to_clients,
            Level::Server => "crate::graphql::guard::visible_to_servers",
            Level::Admin => "crate::graphql::guard::visible_to_admins",
        };
        quote!(visible = #function)
    }

    fn level_expression(&self) -> TokenStream {
        let variant = match self.level {
            Level::Client => quote!(Client),
            Level::Server => quote!(Server),
            Level::Admin => quote!(Admin),
        };
        quote!(crate::graphql::guard::AccessLevel::#variant)
    }
}

impl Parse for Rule {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let level: Ident = input.parse().map_err(|_| level_expected(input.span()))?;
        let level = match level.to_string().as_str() {
            "CLIENT" => Level::Client,
            "SERVER" => Level::Server,
            "ADMIN" => Level::Admin,
            _ => return Err(level_expected(level.span())),
        };
        let mut rule = Self { level, own: false, permission: None, keys: Keys::None };
        while input.peek(Token![,]) && (input.peek2(Token![self]) || next_is(input, &["permission", "keys"])) {
            input.parse::<Token![,]>()?;
            if input.peek(Token![self]) {
                input.parse::<Token![self]>()?;
                rule.own = true;
                continue;
            }
            let word: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            if word == "permission" {
                rule.permission = Some(input.parse::<LitStr>()?.value());
            } else {
                rule.keys = parse_keys(input)?;
            }
        }
        if rule.level > Level::Client && (rule.own || rule.permission.is_some() || rule.keys > Keys::None) {
            let text = "`self`, `permission` and `keys` only go with CLIENT: servers and admins pass without them, and API keys \
                        speak at that level";
            return Err(input.error(text));
        }
        Ok(rule)
    }
}

/// Whether what follows the comma is one of these words, which belong to the rule.
fn next_is(input: ParseStream<'_>, words: &[&str]) -> bool {
    let ahead = input.fork();
    ahead.parse::<Token![,]>().is_ok()
        && ahead.parse::<Ident>().is_ok_and(|ident| words.iter().any(|word| ident == word))
}

fn parse_keys(input: ParseStream<'_>) -> syn::Result<Keys> {
    let word: Ident = input.parse()?;
    match word.to_string().as_str() {
        "USER" => Ok(Keys::User),
        "ANY" => Ok(Keys::Any),
        _ => Err(syn::Error::new(word.span(), "expected `keys = USER` or `keys = ANY`")),
    }
}

fn level_expected(span: Span) -> syn::Error {
    syn::Error::new(span, "a rule begins with a level: CLIENT, SERVER or ADMIN")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        syn::parse_str(text).unwrap()
    }

    #[test]
    fn rules_read_as_they_are_written() {
        assert_eq!(rule("SERVER"), Rule { level: Level::Server, own: false, permission: None, keys: Keys::None });
        assert_eq!(
            rule(r#"CLIENT, self, permission = "team_admin", keys = ANY"#),
            Rule { level: Level::Client, own: true, permission: Some("team_admin".to_owned()), keys: Keys::Any }
        );
        assert_eq!(rule("CLIENT, keys = USER").keys, Keys::User);
        assert!(syn::parse_str::<Rule>("CLIENT, keys = TEAM").is_err());
    }

    #[test]
    fn a_rule_without_a_level_or_with_an_unknown_one_is_refused() {
        for text in ["", "self", "client", "EVERYBODY"] {
            let error = syn::parse_str::<Rule>(text).unwrap_err().to_string();
            assert!(error.contains("begins with a level"), "{text}: {error}");
        }
    }

    #[test]
    fn only_clients_are_narrowed_by_self_or_permission() {
        assert!(syn::parse_str::<Rule>("SERVER, self").is_err());
        assert!(syn::parse_str::<Rule>("SERVER, keys = ANY").is_err());
        assert!(syn::parse_str::<Rule>(r#"ADMIN, permission = "x""#).is_err());
    }

    #[test]
    fn narrower_means_that_somebody_is_left_out() {
        let (client, own, server, admin) = (rule("CLIENT"), rule("CLIENT, self"), rule("SERVER"), rule("ADMIN"));
        let held = rule(r#"CLIENT, permission = "x""#);
        for (narrow, wide) in
            [(&own, &client), (&server, &client), (&server, &own), (&admin, &server), (&held, &client), (&held, &own)]
        {
            assert!(narrow.is_narrower_than(wide), "{narrow:?} {wide:?}");
        }
        for (wide, narrow) in [(&client, &client), (&client, &server), (&own, &own), (&own, &server), (&client, &own)] {
            assert!(!wide.is_narrower_than(narrow), "{wide:?} {narrow:?}");
        }
    }
}
