#include "adapters/mongodb/pipeline.hpp"
#include "adapters/mongodb/service.hpp"
#include "adapters/mongodb/session.hpp"

#include <beds/adapters/mongodb.hpp>

#include <algorithm>
#include <utility>

namespace beds::adapters {
namespace {

using namespace mongodb;

constexpr unsigned most_decimal_digits = 34;

mongodb_session& session_of(session& connected) {
    auto* const own = dynamic_cast<mongodb_session*>(&connected);
    if (own == nullptr || !own->usable()) {
        throw core::error(core::errc::unreachable, "the session is not connected");
    }
    return *own;
}

class mongodb_adapter final : public adapter {
public:
    explicit mongodb_adapter(std::shared_ptr<const service> shared) : shared_(std::move(shared)) {}

    [[nodiscard]] std::string_view engine_name() const override { return "mongodb"; }
    [[nodiscard]] const std::string& connection_name() const override {
        return shared_->connection();
    }
    [[nodiscard]] capabilities can() const override {
        return {.pipelines = true, .inbox = shared_->inbox(), .comparison = true};
    }
    [[nodiscard]] std::unique_ptr<session> open_session(session_context context) override {
        return std::make_unique<mongodb_session>(shared_, std::move(context));
    }
    [[nodiscard]] std::vector<std::string>
    check(const templates::template_def& target) const override;
    /// Nothing here shares a transaction with its neighbours.
    [[nodiscard]] bool runs_alone(const templates::template_def&, core::verb,
                                  const templates::call*) const override {
        return false;
    }
    /// One document changes wholly or not at all and says by whom; several say nothing together.
    [[nodiscard]] bool may_repeat(const templates::template_def&, core::verb op,
                                  const templates::call*, selection by) const override {
        return op == core::verb::call ||
               (by == selection::where && (op == core::verb::update || op == core::verb::remove));
    }
    void inspect(session& connected, std::span<const templates::template_def* const> targets,
                 core::deadline until) override {
        if (auto* const own = dynamic_cast<mongodb_session*>(&connected)) {
            own->inspect(targets, until);
        }
    }
    [[nodiscard]] std::vector<std::string> objects(session& connected,
                                                   core::deadline until) override {
        return session_of(connected).objects(until);
    }
    [[nodiscard]] surveyed survey(session& connected, std::string_view object,
                                  core::deadline until) override {
        return session_of(connected).survey(object, until);
    }
    [[nodiscard]] explanation explain(session& connected, const bound_operation& op,
                                      core::deadline until) override {
        return session_of(connected).explain(op, until);
    }
    [[nodiscard]] std::optional<std::vector<difference>>
    compare(session& connected, const templates::template_def& wanted, core::op_class highest,
            core::deadline until) override {
        return session_of(connected).compare(wanted, highest, until);
    }
    [[nodiscard]] std::vector<difference>
    compare_own(session& connected, std::span<const templates::template_def* const>,
                core::op_class highest, core::deadline until) override {
        if (!shared_->inbox() || highest == core::op_class::read) {
            return {};
        }
        return session_of(connected).compare_own(until);
    }

private:
    std::shared_ptr<const service> shared_;
};

void check_field(const templates::field& field, std::vector<std::string>& problems) {
    const auto say = [&](const std::string& what) {
        problems.push_back("fields." + field.name + ": " + what);
    };
    if (field.column.empty() || field.column.front() == '$' ||
        field.column.find('.') != std::string::npos ||
        field.column.find('\0') != std::string::npos) {
        say("a stored name must not begin with '$' or contain '.' or NUL");
    }
    if (field.column == "_beds") {
        say("the stored name '_beds' is reserved");
    }
    if (field.type.kind == core::type_kind::decimal && field.type.precision > most_decimal_digits) {
        say("MongoDB keeps at most 34 digits of a decimal");
    }
    if (!field.collation.empty()) {
        say("collations are not available on MongoDB");
    }
    if (field.source == templates::generated::database) {
        say("MongoDB generates no values; use generated = \"uuid\"");
    }
}

void check_call(const templates::call& called, std::vector<std::string>& problems) {
    const auto say = [&](const std::string& what) {
        problems.push_back("calls." + called.name + ": " + what);
    };
    if (!called.routine.empty()) {
        say("procedures are not available on MongoDB; use 'pipeline'");
        return;
    }
    if (called.pipeline.empty()) {
        say("'pipeline' is required");
        return;
    }
    if (!called.out.empty()) {
        say("a pipeline has no 'out'");
    }
    if (called.returns.size() > 1) {
        say("a pipeline returns one result set");
    }
    const pipeline stages{called};
    if (!stages.problem().empty()) {
        say(stages.problem());
        return;
    }
    const bool writes = stages.writes();
    if (writes && called.op_class == core::op_class::read) {
        say("$out and $merge write: class = \"write\" or \"bulk\"");
    }
    if (!writes && called.op_class != core::op_class::read) {
        say("a pipeline without $out or $merge reads: class = \"read\"");
    }
    if (!writes && called.returns.empty()) {
        say("'returns' is required: what the rows look like");
    }
}

std::vector<std::string> mongodb_adapter::check(const templates::template_def& target) const {
    std::vector<std::string> problems;
    const auto bad_name = [](const std::string& name) {
        return name.empty() || name.front() == '$' || name.find('$') != std::string::npos ||
               name.find('\0') != std::string::npos || name.starts_with("system.");
    };
    if (bad_name(target.object)) {
        problems.emplace_back("object: not a name of a collection");
    }
    if (!target.read_view.empty() && bad_name(target.read_view)) {
        problems.emplace_back("read.view: not a name of a view");
    }
    if (!target.write.insert.empty() || !target.write.update.empty() ||
        !target.write.remove.empty()) {
        problems.emplace_back("write: procedures are not available on MongoDB");
    }
    if (target.key.empty()) {
        problems.emplace_back("key: required");
    }
    for (const auto id : target.key) {
        const auto kind = target.fields[id].type.kind;
        if (kind == core::type_kind::json || kind == core::type_kind::document) {
            problems.push_back("key: '" + target.fields[id].name +
                               "' is a document and cannot be a key");
        }
    }
    for (std::size_t i = 0; i < target.fields.size(); ++i) {
        check_field(target.fields[i], problems);
        for (std::size_t j = 0; j < i; ++j) {
            if (target.fields[i].column == target.fields[j].column) {
                problems.push_back("fields." + target.fields[i].name +
                                   ": stored under the name of '" + target.fields[j].name + "'");
            }
        }
    }
    for (const auto& called : target.calls) {
        check_call(called, problems);
    }
    return problems;
}

} // namespace

std::shared_ptr<adapter> make_mongodb(std::string connection_name,
                                      const config::rec_service_settings& settings,
                                      driver_init init) {
    return std::make_shared<mongodb_adapter>(
        std::make_shared<service>(std::move(connection_name), settings, init));
}

} // namespace beds::adapters
