#pragma once

#include <beds/adapters/adapter.hpp>
#include <beds/templates/template_def.hpp>

#include <chrono>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace beds::testing {

/// Where an engine may differ from another without breaking the contract of adapters. What is a
/// matter of `adapters::capabilities` is asked of the adapter itself.
struct conformance_traits {
    /// `generated = "database"` works.
    bool generated_keys = true;
    /// Columns refuse null, too long text and foreign values by themselves (`CONSTRAINT`).
    bool column_constraints = true;
    /// Rows whose unique field is null do not collide.
    bool many_nulls_in_unique = true;
    /// Most digits of a decimal that are kept exactly.
    unsigned decimal_digits = 38;
    std::chrono::microseconds datetime_step{1};
    /// Text may hold U+0000.
    bool zero_in_text = true;
    /// `inc` past the range of a field's type is refused by the engine.
    bool inc_is_bounded = true;
    /// Budget of one unit of work.
    std::chrono::milliseconds patience{10'000};
};

/// What the suite needs to know of an engine. One fixture serves all cases, one after the other;
/// its functions are called by one thread only.
class conformance_fixture {
public:
    virtual ~conformance_fixture() = default;

    /// The same object each time. Its sessions are used by several threads in the concurrent cases.
    [[nodiscard]] virtual adapters::adapter& adapter() = 0;
    [[nodiscard]] virtual templates::engine store() const = 0;

    /// Makes the template's object anew and empty: a place for each field called as its `column`
    /// says, the key, the unique indexes, text compared by its bytes and without padding; a counter
    /// for a generated key. Forgets stored replies of the inbox, too.
    virtual void prepare(const templates::template_def& target) = 0;

    /// Makes the procedures that `conformance_calls()` describes on the object of `target`, which
    /// was prepared. False: the engine has none, and the cases about calls are skipped.
    virtual bool prepare_calls(const templates::template_def& target) {
        (void)target;
        return false;
    }

    [[nodiscard]] virtual conformance_traits traits() const { return {}; }
    /// For each session that the suite opens.
    [[nodiscard]] virtual adapters::session_context context(std::string name) {
        adapters::session_context made;
        made.name = std::move(name);
        return made;
    }
};

/// A case is over because the engine cannot do what it is about.
struct conformance_skip : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The contract is broken; the text says what was expected, what came, and where in the suite.
struct conformance_failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One named case. Cases do not depend on each other and may run in any order.
struct conformance_case {
    std::string name;
    /// Returns, or throws `conformance_failure` or `conformance_skip`.
    std::function<void(conformance_fixture&)> run;
};

/// All cases. The span and what it shows live as long as the process.
std::span<const conformance_case> conformance_cases();

enum class conformance_verdict { passed, failed, skipped };

struct conformance_result {
    std::string name;
    conformance_verdict verdict = conformance_verdict::passed;
    std::string text; ///< why it failed or was skipped
};

/// Runs one case and turns whatever it throws into a result.
conformance_result run_case(const conformance_case& chosen, conformance_fixture& fixture);
/// Runs those whose name contains `filter` (empty: all), in order.
std::vector<conformance_result> run_conformance(conformance_fixture& fixture,
                                                std::string_view filter = {});

/// The template that the cases about calls use (object `conf_accounts`: id int64, owner string,
/// balance decimal(18,2)), for engines whose procedures are written in their own language:
/// - `conf_transfer(from, to, amount)`, out `new_balance` (of `from`): moves the amount; refuses
/// with
///   SQLSTATE 45001 (`INSUFFICIENT_FUNDS`) when `from` has less, and with 45002 (`NO_ACCOUNT`) when
///   one of the accounts is not there. It may have moved half of it before it refuses: that must be
///   undone.
/// - `conf_statement(account)`: two result sets: `summary` (accounts int64: how many rows there
/// are,
///   balance decimal(18,2): of this account, null when it is not there) in one row, and `lines`
///   (id, owner) of the accounts above it in key order.
/// - `conf_echo(word, number)`, out `word`, `number`: gives back what it got, null too.
templates::template_def conformance_calls(templates::engine store);

} // namespace beds::testing
