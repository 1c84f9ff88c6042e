// Which run this is: what of its recipe decides the weights, comparable without knowing recipes.
#pragma once

#include <string>
#include <vector>

namespace lockstep::plan {

class RunIdentity {
 public:
  /// A field that is set: "optimizer.sgd.momentum", "0.9". Of a message within, the value is empty and its own fields
  /// follow; of a repeated field, elements are parted by commas.
  struct Field {
    std::string name, value;
    bool numerics = false;  ///< says only how it is computed: device, precision, instruction set, lanes
  };

  RunIdentity() = default;
  /// `text`: the part of the resolved recipe that decides the weights, of which `fields` are all, in the text's order.
  RunIdentity(std::string resolved, std::string text, std::vector<Field> fields);

  /// The resolved recipe, as text: goes into the run folder.
  const std::string& resolved() const { return resolved_; }
  const std::string& text() const { return text_; }
  const std::vector<Field>& fields() const { return fields_; }
  /// Of the text, in hexadecimal: what manifests and certificates call the recipe.
  std::string Hash() const;
  /// Null where it is not set.
  const Field* Find(const std::string& name) const;

  /// The names of the fields in which the two differ, in this one's order and then the other's. Where a message is set
  /// in one alone, it is named instead of its fields.
  std::vector<std::string> Compare(const RunIdentity& other) const;

 private:
  std::string resolved_, text_;
  std::vector<Field> fields_;
};

/// What may change where a run goes on.
struct AllowedChanges {
  bool longer = false;    ///< the learning rate's schedule lets a run get longer
  bool numerics = false;  ///< fields that say only how it is computed may change
  /// Learning rate, schedule, weight decay, clipping, Adam's betas, the run's length, batches and data may change: its
  /// state is of the same form, and means the same.
  bool steering = false;
};

/// Throws Error(kMixed), naming the fields, where a run that began as `before` can't go on as `now`. Returns what
/// `steering` let change: "optimizer.learning_rate: 0.001 -> 0.0001".
std::vector<std::string> CheckContinues(const RunIdentity& before, const RunIdentity& now,
                                        const AllowedChanges& allowed);

}  // namespace lockstep::plan
