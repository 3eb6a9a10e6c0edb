#include "adapters/mariadb/compare.hpp"
#include "adapters/mariadb/session.hpp"
#include "adapters/mariadb/survey.hpp"

#include <beds/adapters/mariadb.hpp>

#include <utility>

namespace beds::adapters {
namespace mariadb {
namespace {

/// Watched by the supervisor until then.
template <class Question>
auto ask_server(session& connected, core::deadline until, Question question) {
    auto* mine = dynamic_cast<mariadb_session*>(&connected);
    if (mine == nullptr || !mine->usable()) {
        throw core::error(core::errc::unreachable, "the session is not connected");
    }
    enter_thread();
    connection::guard watching;
    mine->link().arm(until, watching);
    return question(mine->link());
}

class mariadb_adapter final : public adapter {
public:
    mariadb_adapter(std::string connection_name, config::rel_service_settings settings)
        : connection_name_(std::move(connection_name)),
          shared_(std::make_shared<shared_parts>(std::move(settings))) {}

    [[nodiscard]] std::string_view engine_name() const override { return "mariadb"; }
    [[nodiscard]] const std::string& connection_name() const override { return connection_name_; }
    [[nodiscard]] capabilities can() const override {
        return {.transactions = true,
                .procedures = true,
                .pipelines = false,
                .inbox = shared_->settings->inbox,
                .comparison = true};
    }
    [[nodiscard]] std::uint64_t misfits() const override {
        return shared_->misfits.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::unique_ptr<session> open_session(session_context context) override {
        return std::make_unique<mariadb_session>(shared_, std::move(context));
    }

    [[nodiscard]] std::vector<std::string>
    check(const templates::template_def& target) const override {
        std::vector<std::string> problems;
        constexpr std::size_t most_characters = 64; // of an identifier
        const auto identifier = [&](const std::string& name, const std::string& what) {
            if (name.size() > 2 * most_characters + 1 || name.find('\0') != std::string::npos) {
                problems.push_back(what + " is not a name that MariaDB can have");
            }
        };
        identifier(target.object, "object '" + target.object + "'");
        identifier(target.read_view, "view '" + target.read_view + "'");
        for (const auto& field : target.fields) {
            identifier(field.column, "column '" + field.column + "'");
        }
        for (const auto& called : target.calls) {
            if (!called.pipeline.empty()) {
                problems.push_back("call '" + called.name +
                                   "': MariaDB has no pipelines; name a procedure");
            } else if (called.routine.empty()) {
                problems.push_back("call '" + called.name + "': no procedure or function is named");
            }
        }
        return problems;
    }

    [[nodiscard]] bool runs_alone(const templates::template_def& target, core::verb op,
                                  const templates::call* called) const override {
        const std::string* procedure = nullptr;
        switch (op) {
        case core::verb::call:
            procedure = called != nullptr ? &called->routine : nullptr;
            break;
        case core::verb::insert:
            procedure = &target.write.insert;
            break;
        case core::verb::update:
            procedure = &target.write.update;
            break;
        case core::verb::remove:
            procedure = &target.write.remove;
            break;
        default:
            break;
        }
        if (procedure == nullptr || procedure->empty()) {
            return false;
        }
        const auto known = shared_->known.find_procedure(*procedure);
        if (called != nullptr && called->op_class == core::op_class::read) {
            return known == nullptr || known->writes == writing::perhaps;
        }
        return known == nullptr || known->runs_alone;
    }

    void inspect(session& connected, std::span<const templates::template_def* const> targets,
                 core::deadline until) override {
        if (auto* mine = dynamic_cast<mariadb_session*>(&connected)) {
            mine->inspect(targets, until);
        }
    }

    void expire(std::span<const templates::template_def* const> targets,
                const session_context& context) override {
        shared_->old.expire(expiries_of(targets), context.name, context.log);
    }

    [[nodiscard]] std::vector<std::string> objects(session& connected,
                                                   core::deadline until) override {
        return ask_server(connected, until, list_objects);
    }
    [[nodiscard]] surveyed survey(session& connected, std::string_view object,
                                  core::deadline until) override {
        return ask_server(connected, until,
                          [&](connection& from) { return survey_object(from, object); });
    }

    [[nodiscard]] std::optional<surveyed_procedure>
    survey_procedure(session& connected, std::string_view name, core::deadline until) override {
        return ask_server(connected, until,
                          [&](connection& from) { return mariadb::survey_procedure(from, name); });
    }

    [[nodiscard]] explanation explain(session& connected, const bound_operation& op,
                                      core::deadline until) override {
        auto* mine = dynamic_cast<mariadb_session*>(&connected);
        if (mine == nullptr || !mine->usable()) {
            throw core::error(core::errc::unreachable, "the session is not connected");
        }
        return mine->explain(op, until);
    }
    [[nodiscard]] std::optional<std::vector<difference>>
    compare(session& connected, const templates::template_def& wanted, core::op_class highest,
            core::deadline until) override {
        return ask_server(connected, until, [&](connection& with) {
            return compare_template(with, wanted, highest);
        });
    }
    [[nodiscard]] std::vector<difference>
    compare_own(session& connected, std::span<const templates::template_def* const> targets,
                core::op_class highest, core::deadline until) override {
        if (!shared_->settings->inbox || highest == core::op_class::read) {
            return {};
        }
        return ask_server(connected, until,
                          [&](connection& with) { return mariadb::compare_own(with, targets); });
    }

private:
    std::string connection_name_;
    std::shared_ptr<shared_parts> shared_;
};

} // namespace
} // namespace mariadb

std::shared_ptr<adapter> make_mariadb(std::string connection_name,
                                      config::rel_service_settings settings) {
    if (mariadb::known_bad_client(mariadb::client_version())) {
        throw core::error(core::errc::unsupported,
                          "MariaDB Connector/C before 3.3.4 reads replies wrongly (CONC-622): "
                          "install a newer one");
    }
    if (!config::parse_coalesce(settings.coalesce)) {
        throw core::error(core::errc::invalid_configuration,
                          "coalesce = \"" + settings.coalesce + "\" is not known");
    }
    return std::make_shared<mariadb::mariadb_adapter>(std::move(connection_name),
                                                      std::move(settings));
}

} // namespace beds::adapters
