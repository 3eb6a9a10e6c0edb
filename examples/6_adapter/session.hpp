// The unit of work on one connection. SQLite ends its statements by itself when their time is over
// (`database::limit`), so the supervisor of the context, which watches sockets, has no part in it.
#pragma once

#include "database.hpp"
#include "sqlite_adapter.hpp"

#include <beds/adapters/adapter.hpp>

#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace beds_sqlite {

class session final : public beds::adapters::session {
public:
    session(sqlite_settings settings, beds::adapters::session_context context);

    void connect(beds::core::deadline until) override;
    [[nodiscard]] bool usable() const override { return database_ != nullptr; }
    bool alive(beds::core::deadline until) override;

    beds::adapters::step_result begin(beds::adapters::work_kind kind, beds::core::deadline until,
                                      std::span<const beds::adapters::operation_identity> ids,
                                      beds::adapters::lookup how, beds::core::arena& memory,
                                      std::vector<beds::adapters::stored_reply>& known) override;
    beds::adapters::step_result run(const beds::adapters::group& work, beds::core::row_sink& rows,
                                    beds::adapters::outcomes results,
                                    beds::core::arena& memory) override;
    beds::adapters::step_result
    seal(std::span<const beds::adapters::sealed_reply> replies) override;
    beds::adapters::commit_result commit() override;
    void rollback() override;
    [[nodiscard]] const beds::adapters::write_trouble& trouble() const override { return trouble_; }

    /// Tells the operator about a template whose table lacks something.
    void inspect(const beds::templates::template_def& target, beds::core::deadline until);

private:
    template <class Step>
    beds::adapters::step_result guarded(Step step);
    beds::adapters::step_result run_each(const beds::adapters::group& work,
                                         beds::core::row_sink& rows,
                                         beds::adapters::outcomes results,
                                         beds::core::arena& memory);
    beds::adapters::step_result run_together(const beds::adapters::group& work,
                                             beds::core::row_sink& rows,
                                             beds::adapters::outcomes results,
                                             beds::core::arena& memory);
    beds::core::outcome run_one(const beds::adapters::bound_operation& op,
                                beds::core::row_sink& rows, beds::core::arena& memory);
    beds::adapters::step_result not_remembered(const sqlite_error& why);
    void drop();
    void log(std::string_view id, std::string_view text) const;

    sqlite_settings settings_;
    beds::adapters::session_context context_;
    std::unique_ptr<database> database_; ///< null: not connected, or broken
    beds::adapters::write_trouble trouble_;
    bool open_ = false; ///< between `begin` and the end of the unit
    bool writes_ = false;
};

} // namespace beds_sqlite
