//! Conditions of rules: the part of CEL that the contract names, evaluated by the `cel` crate. What is outside of it does not
//! parse: no macros and no arithmetic, so a condition takes time in proportion to its length, which is bounded.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use cel::{
    Context, Program, Value,
    common::ast::{Expr, LiteralValue, operators},
};
use regex::RegexBuilder;

use super::decision::Applicant;

/// The longest condition, in bytes.
pub(super) const MAX_BYTES: usize = 4_000;
/// How deep a condition may be nested, each operator of a chain being one level.
const MAX_DEPTH: usize = 90;
/// The largest compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 64 * 1024;

const VARIABLES: &[&str] = &["email", "emailDomain", "countryCode", "authMethod", "oauthProvider"];
const SCORES: &[&str] = &["bot", "free_trial_abuse"];
const METHODS: &[&str] = &["contains", "startsWith", "endsWith", "matches"];
const OPERATORS: &[&str] = &[
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
];

/// A condition that was read.
pub(crate) struct Condition(Program);

/// What became of reading the condition of a rule: once for each time that the config is loaded.
#[derive(Default)]
pub(crate) struct Compiled(OnceLock<Arc<Result<Condition, String>>>);

impl Compiled {
    /// The condition `text`, which is the same each time.
    pub(super) fn get(&self, text: &str) -> &Result<Condition, String> {
        self.0.get_or_init(|| Arc::new(Condition::parse(text)))
    }
}

impl Clone for Compiled {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Compiled").field(&self.0.get().map(|read| read.is_ok())).finish()
    }
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the condition is longer than {MAX_BYTES} bytes"));
        }
        check_characters(text)?;
        let program = Program::compile(text).map_err(|errors| one_line(&errors.to_string()))?;
        check(&program.expression().expr, 0)?;
        Ok(Self(program))
    }

    /// Whether it holds for somebody.
    ///
    /// # Errors
    /// What is wrong with it, for people: operands of kinds that do not go together, or an outcome that is no boolean.
    pub(super) fn holds(&self, applicant: &Applicant<'_>) -> Result<bool, String> {
        let context = context(applicant)?;
        match self.0.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("the condition is no boolean but a {:?}", other.type_of())),
            Err(error) => Err(one_line(&error.to_string())),
        }
    }
}

fn context(applicant: &Applicant<'_>) -> Result<Context<'static, 'static>, String> {
    let mut context = Context::default();
    let scores = applicant.risk_scores;
    let risk: std::collections::HashMap<String, i64> = [
        ("bot".to_owned(), i64::from(scores.bot)),
        ("free_trial_abuse".to_owned(), i64::from(scores.free_trial_abuse)),
    ]
    .into();
    let email = applicant.email.unwrap_or_default().to_owned();
    let texts = [
        ("email", email),
        ("emailDomain", applicant.email_domain()),
        ("countryCode", applicant.country.unwrap_or_default().to_owned()),
        ("authMethod", applicant.method.to_owned()),
        ("oauthProvider", applicant.oauth_provider.unwrap_or_default().to_owned()),
    ];
    for (name, text) in texts {
        context.add_variable(name, text).map_err(|error| error.to_string())?;
    }
    context.add_variable("riskScores", risk).map_err(|error| error.to_string())?;
    Ok(context)
}

/// Whether all that stands outside of quotes could be part of a condition. Asked first: the library's lexer takes time in the
/// square of the number of characters that it does not know.
fn check_characters(text: &str) -> Result<(), String> {
    let mut characters = text.chars().peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        match character {
            // Texts with a prefix end by other rules.
            '"' | '\'' if before.is_ascii_alphanumeric() => {
                return Err(format!("{before:?} cannot stand in front of a quote"));
            }
            '"' | '\'' => loop {
                match characters.next() {
                    None => return Err("a quote is not closed".to_owned()),
                    Some('\\') => drop(characters.next()),
                    Some(end) if end == character => break,
                    Some(_) => {}
                }
            },
            // Only in pairs.
            '&' | '|' if characters.next() == Some(character) => {}
            '=' if characters.next() == Some('=') => {}
            '<' | '>' | '!' => drop(characters.next_if_eq(&'=')),
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | ',' | '(' | ')' | '[' | ']' | ' ' | '\t' | '\r' | '\n' => {}
            other => return Err(format!("{other:?} cannot stand here")),
        }
        before = character;
    }
    Ok(())
}

/// Whether an expression is within what the contract names.
fn check(expression: &Expr, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("the condition is nested deeper than {MAX_DEPTH} levels"));
    }
    match expression {
        Expr::Literal(_) => Ok(()),
        Expr::Ident(name) if VARIABLES.contains(&name.as_str()) => Ok(()),
        Expr::Ident(name) => Err(format!("there is no variable {}", shown(name))),
        Expr::List(list) => list.elements.iter().try_for_each(|element| check(&element.expr, depth + 1)),
        Expr::Select(select) => match &select.operand.expr {
            Expr::Ident(name) if name == "riskScores" && !select.test && SCORES.contains(&select.field.as_str()) => {
                Ok(())
            }
            _ => Err(format!("there is no field {}", shown(&select.field))),
        },
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            match &call.target {
                Some(target) if METHODS.contains(&name) => {
                    let [argument] = call.args.as_slice() else { return Err(format!("{name} takes one argument")) };
                    let Expr::Literal(LiteralValue::String(text)) = &argument.expr else {
                        return Err(format!("the argument of {name} must be a text in quotes"));
                    };
                    if name == "matches" {
                        check_pattern(text.inner())?;
                    }
                    check(&target.expr, depth + 1)
                }
                None if OPERATORS.contains(&name) => {
                    call.args.iter().try_for_each(|argument| check(&argument.expr, depth + 1))
                }
                _ => Err(format!("{} cannot be used in a condition", shown(name))),
            }
        }
        _ => Err("the condition uses a part of CEL that rules do not have".to_owned()),
    }
}

/// A pattern within these bounds is compiled and run in time that nobody notices.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let built = RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES).build();
    built.map(drop).map_err(|error| format!("the pattern of matches cannot be used: {}", one_line(&error.to_string())))
}

fn shown(name: &str) -> String {
    name.chars().take(50).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect()
}
