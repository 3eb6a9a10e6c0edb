#include "adapters/memory/store.hpp"
#include "adapters/memory/unit.hpp"

#include <beds/adapters/memory.hpp>
#include <beds/core/arena.hpp>

#include <algorithm>
#include <utility>

namespace beds::adapters {

namespace memory {
namespace {

class memory_session final : public session {
public:
    memory_session(std::shared_ptr<store> shared, session_context context)
        : store_(std::move(shared)), context_(std::move(context)), unit_(*store_, context_) {}
    ~memory_session() override { memory_session::rollback(); }
    memory_session(const memory_session&) = delete;
    memory_session& operator=(const memory_session&) = delete;

    void connect(core::deadline) override { connected_ = true; }
    [[nodiscard]] bool usable() const override { return connected_; }
    bool alive(core::deadline) override { return connected_; }
    void forget_templates() override { unit_.forget_templates(); }

    step_result begin(work_kind kind, core::deadline until, std::span<const operation_identity> ids,
                      lookup how, core::arena& memory, std::vector<stored_reply>& known) override {
        rollback();
        if (!connected_) {
            return step_result::broken;
        }
        if (kind == work_kind::write) {
            if (!store_->lock.lock(until)) {
                return step_result::expired;
            }
            writing_ = true;
        }
        unit_.begin(kind, until);
        open_ = true;
        if (how == lookup::all && !ids.empty()) {
            if (!writing_ && !store_->lock.lock_shared(until)) {
                open_ = false;
                return step_result::expired;
            }
            for (const auto& id : ids) {
                if (const auto* entry = store_->replies.find(id)) {
                    known.push_back(
                        {id.index, entry->content, memory.copy(std::string_view{entry->reply})});
                }
            }
            if (!writing_) {
                store_->lock.unlock_shared();
            }
        }
        return step_result::done;
    }

    step_result run(const group& work, core::row_sink& rows, outcomes results,
                    core::arena& memory) override {
        if (!open_) {
            return step_result::broken;
        }
        if (unit_.until().expired()) {
            return step_result::expired;
        }
        if (writing_) {
            return run_locked(work, rows, results, memory);
        }
        if (!store_->lock.lock_shared(unit_.until())) {
            return step_result::expired;
        }
        const struct unlock {
            store_lock& held;
            ~unlock() { held.unlock_shared(); }
        } guard{store_->lock};
        return run_locked(work, rows, results, memory);
    }

    step_result seal(std::span<const sealed_reply> replies) override {
        if (!writing_) {
            return open_ ? step_result::done : step_result::broken;
        }
        for (const auto& each : replies) {
            if (!store_->replies.add(each.identity, each.reply)) {
                return step_result::known_id;
            }
            ++sealed_;
        }
        return step_result::done;
    }

    commit_result commit() override {
        if (!open_) {
            return commit_result::none;
        }
        open_ = false;
        if (writing_) {
            unit_.keep();
            store_->replies.trim();
            release();
        }
        return commit_result::applied;
    }

    void rollback() override {
        open_ = false;
        if (writing_) {
            unit_.undo_to(0);
            store_->replies.remove_newest(sealed_);
            release();
        }
    }

private:
    void release() {
        sealed_ = 0;
        writing_ = false;
        store_->lock.unlock();
    }

    step_result run_locked(const group& work, core::row_sink& rows, outcomes results,
                           core::arena& memory) {
        const auto before = unit_.savepoint();
        if (work.mode == group_mode::independent && work.operations.size() > 1 &&
            work.operations.front()->op == core::verb::fetch) {
            unit_.fetch_ahead(work.operations);
        }
        for (std::size_t i = 0; i < work.operations.size(); ++i) {
            const auto& op = *work.operations[i];
            auto& result = results[op.index];
            if (!unit_.run(op, rows, result, memory)) {
                return step_result::expired;
            }
            if (result.ok()) {
                continue;
            }
            rows.reset(op.index);
            if (work.mode == group_mode::atomic) {
                unit_.undo_to(before);
                skip_others(work, i, rows, results);
                break;
            }
        }
        return step_result::done;
    }

    static void skip_others(const group& work, std::size_t failed, core::row_sink& rows,
                            outcomes results) {
        for (std::size_t i = 0; i < work.operations.size(); ++i) {
            if (i != failed) {
                const auto index = work.operations[i]->index;
                rows.reset(index);
                results[index] = core::outcome::skip("another operation of the group failed");
            }
        }
    }

    std::shared_ptr<store> store_;
    session_context context_;
    unit unit_;
    bool connected_ = false;
    bool open_ = false;
    bool writing_ = false; // holds the store's lock
    std::size_t sealed_ = 0;
};

class memory_adapter final : public adapter {
public:
    memory_adapter(std::string connection_name, memory_settings settings)
        : name_(std::move(connection_name)), store_(std::make_shared<store>(std::move(settings))) {}

    [[nodiscard]] std::string_view engine_name() const override { return "memory"; }
    [[nodiscard]] const std::string& connection_name() const override { return name_; }
    [[nodiscard]] capabilities can() const override {
        return {.transactions = true, .procedures = true, .pipelines = false, .inbox = true};
    }
    [[nodiscard]] std::unique_ptr<session> open_session(session_context context) override {
        return std::make_unique<memory_session>(store_, std::move(context));
    }

    [[nodiscard]] std::vector<std::string>
    check(const templates::template_def& target) const override {
        std::vector<std::string> problems;
        const auto lacks = [&problems](const std::string& what, const std::string& instead) {
            problems.push_back(what + " is not there in the memory engine; " + instead);
        };
        if (!target.read_view.empty()) {
            lacks("[read] view", "leave it out: rows come from the object");
        }
        for (const auto* procedure :
             {&target.write.insert, &target.write.update, &target.write.remove}) {
            if (!procedure->empty()) {
                lacks("[write] procedure '" + *procedure + "'", "leave it out or make it a call");
            }
        }
        for (const auto& field : target.fields) {
            if (!field.collation.empty() && field.collation != "binary" &&
                !field.collation.ends_with("_bin")) {
                lacks("collation '" + field.collation + "' of field '" + field.name + "'",
                      "text is compared by its bytes");
            }
            if (field.source == templates::generated::database && !is_integer(field.type.kind)) {
                lacks("a generated value for field '" + field.name + "' of type " +
                          core::to_string(field.type),
                      "only integers are generated");
            }
        }
        for (const auto& index : target.indexes) {
            if (index.expire_after) {
                lacks("expire_after", "rows stay until they are deleted");
            }
            if (index.unique && !index.where_json.empty()) {
                lacks("a unique index with `where`", "make it unique as a whole or leave it out");
            }
        }
        for (const auto& call : target.calls) {
            if (!call.pipeline.empty()) {
                lacks("a pipeline (call '" + call.name + "')", "register a procedure");
            } else if (!store_->settings.calls.contains(call.routine)) {
                lacks("procedure '" + call.routine + "' of call '" + call.name + "'",
                      "add it to memory_settings::calls");
            }
        }
        return problems;
    }

    [[nodiscard]] bool runs_alone(const templates::template_def&, core::verb,
                                  const templates::call*) const override {
        return false;
    }

    void inspect(session&, std::span<const templates::template_def* const>,
                 core::deadline) override {}

private:
    static bool is_integer(core::type_kind kind) {
        return kind >= core::type_kind::int8 && kind <= core::type_kind::uint64;
    }

    std::string name_;
    std::shared_ptr<store> store_;
};

} // namespace
} // namespace memory

std::shared_ptr<adapter> make_memory(std::string connection_name, memory_settings settings) {
    return std::make_shared<memory::memory_adapter>(std::move(connection_name),
                                                    std::move(settings));
}

} // namespace beds::adapters
