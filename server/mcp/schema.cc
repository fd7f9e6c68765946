// SPDX-License-Identifier: MIT
#include "server/mcp/schema.h"

#include <vector>

#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "core/base/json.h"
#include "core/base/result.h"
#include "core/base/text.h"

namespace rgt::mcp {
namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

constexpr std::size_t kShown = 80;  // bytes of an offending value or key

// valijson's context is {"<root>", "[job]", "[cells]", "[0]"}.
std::vector<std::string> steps_of(const std::vector<std::string>& context) {
  std::vector<std::string> steps;
  for (const std::string& part : context) {
    if (part.size() > 2 && part.front() == '[') steps.push_back(part.substr(1, part.size() - 2));
  }
  return steps;
}

std::string path_of(const std::vector<std::string>& steps) {
  std::string path;
  for (const std::string& step : steps) {
    if (parse_uint(step))
      path += "[" + step + "]";
    else
      path += (path.empty() ? "" : ".") + clean_line(step, kShown);
  }
  return path.empty() ? "arguments" : path;
}

const Json* value_at(const Json& root, const std::vector<std::string>& steps) {
  const Json* at = &root;
  for (const std::string& step : steps) {
    if (at->is_object() && at->contains(step))
      at = &(*at)[step];
    else if (const auto index = parse_uint(step); at->is_array() && index && *index < at->size())
      at = &(*at)[*index];
    else
      return nullptr;
  }
  return at;
}

const Json* schema_at(const Json& root, const std::vector<std::string>& steps) {
  const Json* at = &root;
  for (const std::string& step : steps) {
    if (at->contains("properties") && (*at)["properties"].contains(step))
      at = &(*at)["properties"][step];
    else if (at->contains("items") && (*at)["items"].is_object())
      at = &(*at)["items"];
    else if (at->contains("additionalProperties") && (*at)["additionalProperties"].is_object())
      at = &(*at)["additionalProperties"];
    else
      return nullptr;
  }
  return at;
}

std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array of " + std::to_string(value.size());
  return clean_line(value.dump(-1, ' ', false, Json::error_handler_t::replace), kShown);
}

std::string list_of(const Json& names) {
  std::vector<std::string> words;
  for (const Json& name : names)
    words.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  return join(words, ", ");
}

// What our schema says about this place, in words; empty if nothing of the known kinds is broken.
std::string explain(const Json& schema, const Json& value) {
  const auto is = [&](const char* type) { return schema.value("type", "") == type; };
  const bool fits = (is("string") && value.is_string()) ||
                    (is("integer") && value.is_number_integer()) ||
                    (is("number") && value.is_number()) || (is("boolean") && value.is_boolean()) ||
                    (is("object") && value.is_object()) || (is("array") && value.is_array()) ||
                    !schema.contains("type");
  if (!fits) return "expected " + schema["type"].get<std::string>() + ", got " + shown(value);
  if (schema.contains("enum"))
    return "expected one of " + list_of(schema["enum"]) + ", got " + shown(value);
  if (value.is_string() && schema.contains("pattern"))
    return "expected text that matches " + schema["pattern"].get<std::string>() + ", got " +
           shown(value);
  if (value.is_string())
    return "expected text of " + std::to_string(schema.value("minLength", 0)) + " to " +
           (schema.contains("maxLength") ? schema["maxLength"].dump() : "any number of") +
           " characters, got " + std::to_string(value.get_ref<const std::string&>().size());
  if (value.is_number())
    return "expected a number from " +
           (schema.contains("minimum") ? schema["minimum"].dump() : "any") + " to " +
           (schema.contains("maximum") ? schema["maximum"].dump() : "any") + ", got " +
           shown(value);
  if (value.is_array())
    return "expected an array of " + std::to_string(schema.value("minItems", 0)) + " to " +
           (schema.contains("maxItems") ? schema["maxItems"].dump() : "any number of") +
           " items, got " + std::to_string(value.size());
  if (!value.is_object()) return {};
  for (const Json& required : schema.value("required", Json::array())) {
    if (!value.contains(required.get<std::string>()))
      return required.get<std::string>() + " is missing; required: " + list_of(schema["required"]);
  }
  std::vector<std::string> known;
  const Json properties = schema.value("properties", Json::object());
  for (const auto& [name, ignored] : properties.items()) known.push_back(name);
  for (const auto& [name, ignored] : value.items()) {
    if (properties.contains(name)) continue;
    const auto near = did_you_mean(name, known);
    return "unknown key \"" + clean_line(name, kShown) + "\"; " +
           (near ? "did you mean " + *near + "?" : "known: " + join(known, ", "));
  }
  return {};
}

}  // namespace

struct Schema::Compiled {
  Json text = {};
  valijson::Schema schema = {};
};

Schema::Schema(const Json& schema) : compiled_(std::make_unique<Compiled>()) {
  compiled_->text = schema;
  bool parsed = true;
  try {
    valijson::SchemaParser().populateSchema(Adapter(compiled_->text), compiled_->schema);
  } catch (const std::exception&) {
    parsed = false;
  }
  require(parsed, "a schema of ours is not a JSON Schema");
}
Schema::~Schema() = default;
Schema::Schema(Schema&&) noexcept = default;
Schema& Schema::operator=(Schema&&) noexcept = default;

std::optional<std::string> Schema::mismatch(const Json& value) const {
  valijson::ValidationResults results;
  try {
    valijson::Validator validator;
    if (validator.validate(compiled_->schema, Adapter(value), &results)) return std::nullopt;
  } catch (const std::exception& error) {
    return std::string("could not be checked: ") + error.what();
  }
  // The deepest complaint is the cause; the ones above it only repeat that something below is
  // wrong.
  valijson::ValidationResults::Error deepest;
  valijson::ValidationResults::Error error;
  bool any = false;
  while (results.popError(error)) {
    if (!any || error.context.size() > deepest.context.size()) deepest = error;
    any = true;
  }
  const std::vector<std::string> steps = steps_of(deepest.context);
  const Json* at = value_at(value, steps);
  const Json* wanted = schema_at(compiled_->text, steps);
  std::string why = at != nullptr && wanted != nullptr ? explain(*wanted, *at) : "";
  if (why.empty()) why = clean_line(deepest.description, 200);
  return path_of(steps) + ": " + why;
}

}  // namespace rgt::mcp
