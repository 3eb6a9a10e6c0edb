#pragma once

#include "records.hpp"

#include <beds/client/request.hpp>
#include <beds/core/arena.hpp>
#include <beds/core/data.hpp>
#include <beds/templates/template_def.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beds::factory {
class binder;
}

namespace bedsctl {

/// Columns of a file that are no fields: what a file of refused rows says about them. No field's
/// name holds a colon.
inline constexpr std::string_view note_prefix = "beds:";

/// Why a row is not in the table.
struct refusal {
    std::string code{};
    std::string field{};
    std::string detail{};
};

/// A template as `describe` tells it, and what it takes as a row of a file. Not thread-safe.
class table_rows {
public:
    /// From one of the `templates` that describe answers. Throws beds::core::error (protocol) when
    /// it is none that this version understands.
    explicit table_rows(const beds::core::datum& described);
    ~table_rows();
    table_rows(const table_rows&) = delete;
    table_rows& operator=(const table_rows&) = delete;

    [[nodiscard]] const std::string& name() const { return target_.front().name; }
    [[nodiscard]] std::vector<std::string> fields() const;
    [[nodiscard]] std::vector<std::string> key() const;
    [[nodiscard]] std::uint32_t max_rows() const { return target_.front().limits.max_rows; }
    /// The field on whose values writes wait for each other, or "".
    [[nodiscard]] const std::string& order_by() const { return target_.front().order_by; }
    /// An insert that is sent again may happen again.
    [[nodiscard]] bool may_repeat() const { return may_repeat_; }

    /// What is wrong with these names as the columns of a file that is to be imported, or "". Those
    /// in `ignored` and notes may be anything.
    [[nodiscard]] std::string complaint(const std::vector<std::string>& columns,
                                        const std::vector<std::string>& ignored) const;

    /// `--ignore` with what is ignored already and those of the names that clients do not give; ""
    /// when there are none of those.
    [[nodiscard]] std::string to_ignore(const std::vector<std::string>& names,
                                        const std::vector<std::string>& ignored) const;

    /// The members of an insert. A field without quotes that is `null_text` is NULL.
    std::optional<refusal> from_csv(const std::vector<csv_field>& given,
                                    const std::vector<std::string>& columns,
                                    const std::vector<std::string>& ignored,
                                    std::string_view null_text, beds::client::members& into) const;
    static std::optional<refusal> from_ndjson(std::string_view line,
                                              const std::vector<std::string>& ignored,
                                              beds::client::members& into);

    /// What a node would refuse without asking its database: names, types, bounds, required fields.
    std::optional<refusal> check(const beds::client::operation& insert);

    /// Appends the row's values, in the order of `columns`, and the end of the line.
    void append_csv_row(std::string& out, const beds::core::datum& row,
                        const std::vector<std::string>& columns, std::string_view null_text) const;

private:
    [[nodiscard]] std::vector<std::string> not_given(const std::vector<std::string>& names,
                                                     const std::vector<std::string>& ignored) const;
    [[nodiscard]] const beds::templates::field* find(std::string_view name) const;

    std::vector<beds::templates::template_def> target_; ///< one: the binder wants them side by side
    bool may_repeat_ = false;
    std::unique_ptr<beds::factory::binder> binder_;
    beds::core::arena memory_;
};

} // namespace bedsctl
