"""The JAX engine: one jitted function that runs many training steps, data-parallel through sharding."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np
from jax import lax
from jax import numpy as jnp
from jax.sharding import PartitionSpec

from fer_tl.augment.mixing import prepare
from fer_tl.core.config import Loss
from fer_tl.devices.base import Devices
from fer_tl.devices.jax_devices import AXIS, JaxDevices
from fer_tl.engines.averaging import Followed, averaged
from fer_tl.engines.base import PER_IMAGE, PREDICTED_AT_ONCE, TRAINED_AT_ONCE, Arrays, Engine, Sums, Train
from fer_tl.engines.objective import image_losses, weight_penalty
from fer_tl.engines.optimizers import clip_by_global_norm, loss_scale, scaled_steps
from fer_tl.engines.plan import EpochPlan

# Of what is fixed, the number of a step, and what the steps carry on, to what it is then.
Body = Callable[[Any, Any, Any], Any]


class JaxEngine(Engine):
    """An engine on a mesh of devices. What is written is what one device does with the whole step; XLA divides it, so
    that BatchNorm's statistics, for one, are those of all images of a step, however many devices there are.

    Attributes:
        loops: whether many steps are one compiled loop.
    """

    devices: JaxDevices

    def __init__(self, devices: Devices, *given: Any):
        super().__init__(devices, *given)
        self.loops = self.devices.mesh.devices.flat[0].platform != "cpu"
        resize = functools.partial(prepare, side=self.side)
        # Each device resamples its own images: left to itself, XLA would gather those of all devices on each.
        self._prepare = resize if self.devices.replicas == 1 else self._on_each(resize)

    def _repeated(self, body: Body) -> Callable[[Any, int, Any], Any]:
        """A function ``(fixed, steps, carry)`` that does a body's steps and returns what it carries on.

        One compiled loop, of any number of steps. On a CPU one call a step: in XLA's loops there a convolution takes
        40 times as long (measured, benchmarks/results/jax.md)."""

        def loop(fixed: Any, steps: Any, carry: Any) -> Any:
            return lax.fori_loop(0, steps, lambda index, carry: body(fixed, index, carry), carry)

        compiled = jax.jit(loop if self.loops else body, donate_argnums=2, out_shardings=self.devices.replicated)
        if self.loops:
            return compiled

        def run(fixed: Any, steps: int, carry: Any) -> Any:
            for index in range(steps):
                carry = compiled(fixed, index, carry)
            return carry

        return run

    def _on_each(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of arrays ``[B, ...]``, nested or not, computed by each device for its own part."""
        own = PartitionSpec(AXIS)
        return jax.shard_map(function, mesh=self.devices.mesh, in_specs=own, out_specs=own)

    def _resident(self, values: np.ndarray) -> jax.Array:
        return self.devices.put(values, self.devices.replicated)

    def ran_out_of_memory(self, error: Exception) -> bool:
        return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)

    def _on_devices(self, arrays: Arrays, capacity: int) -> Arrays:
        """The arrays of some steps, filled up to always as many: XLA compiles for a shape."""

        def put(name: str, values: np.ndarray) -> jax.Array:
            filled = np.zeros((capacity, *values.shape[1:]), values.dtype)
            filled[: len(values)] = values
            return self.devices.put(filled, self.devices.divided(1) if name in PER_IMAGE else self.devices.replicated)

        return {
            name: {key: put(name, value) for key, value in values.items()}
            if isinstance(values, dict)
            else put(name, values)
            for name, values in arrays.items()
        }

    def compile_training(
        self,
        optimizer: Any,
        clip: float,
        loss: Loss,
        averages: Sequence[Followed] = (),
        scales: Sequence[float] = (),
    ) -> Train:
        learning, others = self._divided_variables()
        places = {id(v): i for i, v in enumerate([*learning, *others])}
        followed = [places[id(variable)] for _, variable in averages]
        # Of an optimizer that scales the loss, its own, which nothing reads, and that of the one inside.
        rates = {i for i, v in enumerate(optimizer.variables) if v.name == "learning_rate"}
        capacity = min(self.steps_at_once, TRAINED_AT_ONCE)
        truth = self._resident(self._truth())  # [N, 2, K]

        gradients_of = self._gradients_of(optimizer, loss)

        def step(images: Any, truth: Any, now: Arrays, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
            learned, moved, slots = values[:3]
            slots = [now["rates"] if i in rates else slot for i, slot in enumerate(slots)]
            gradients, moved, sums = self._in_parts(
                lambda part, moved: gradients_of(images, truth, part, (learned, moved, slots)), now, moved, learned
            )
            if clip:
                with keras.StatelessScope(state_mapping=zip(optimizer.variables, slots, strict=True)):
                    gradients = clip_by_global_norm(gradients, clip * loss_scale(optimizer))
            stepped, slots = optimizer.stateless_apply(slots, gradients, learned)
            learned = scaled_steps(learned, stepped, scales)
            now_is = [*learned, *moved]
            means = [averaged(mean, now_is[i], now["decays"]) for mean, i in zip(values[3], followed, strict=True)]
            return (learned, moved, slots, means), sums

        def body(fixed: tuple[Any, Any, Arrays], index: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            images, truth, arrays = fixed
            values, sums = carry
            values, new = step(images, truth, _at(arrays, index), values)
            return values, sums.at[index].set(new)

        train = self._repeated(body)

        def run(plan: EpochPlan, start: int = 0, stop: int | None = None) -> Sums:
            stop = len(plan) if stop is None else stop
            arrays = self._on_devices(self._arrays_of(plan, start, stop), capacity)
            kept = learning, others, optimizer.variables, [average for average, _ in averages]
            values = tuple([self._placed(v) for v in variables] for variables in kept)
            sums = self._resident(np.zeros((capacity, 3), np.float32))
            values, sums = train((self._images, truth, arrays), stop - start, (values, sums))
            for variables, new in zip(kept, values, strict=True):
                for variable, value in zip(variables, new, strict=True):
                    variable.assign(value)
            return np.asarray(sums)[: stop - start]

        return run

    def _gradients_of(self, optimizer: Any, loss: Loss) -> Callable[..., tuple[Any, Any, Any]]:
        """The function that computes a part of a step."""
        learning, others = self._divided_variables()

        def gradients_of(images: Any, truth: Any, now: Arrays, values: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            """Of a part of a step's images: gradients, the variables that do not learn, what it adds to ``Sums``."""
            weights, (learned, unlearned, slots) = now["weights"], values
            pixels, targets, labels = self._inputs(images, truth, now)

            def objective(learned: Any) -> tuple[Any, Any]:
                state = [*zip(learning, learned, strict=True), *zip(others, unlearned, strict=True)]
                state += zip(optimizer.variables, slots, strict=True)
                with keras.StatelessScope(state_mapping=state) as scope:
                    logits = self.trunk(pixels, training=True)  # [B, K]
                    data_loss = jnp.sum(image_losses(loss, logits, targets, now.get("offsets")) * weights)
                    data_loss /= now["counts"]
                    whole = data_loss + weight_penalty(loss.l2, learning) / self.parts if loss.l2 else data_loss
                    scaled = optimizer.scale_loss(whole)
                moved = [scope.get_current_value(v) for v in others]
                return scaled, (data_loss, logits, moved)

            gradients, (data_loss, logits, moved) = jax.grad(objective, has_aux=True)(learned)
            real = (weights > 0).astype(jnp.float32)
            # The share of the image that the answer is right for: 1 or 0 where nothing is mixed.
            right = jnp.take_along_axis(labels, jnp.argmax(logits, axis=1)[:, None], axis=1)[:, 0]  # [B]
            sums = jnp.stack([data_loss * now["counts"], jnp.sum(right * real), jnp.sum(real)])
            return gradients, moved, sums

        return gradients_of

    def _in_parts(
        self, gradients_of: Callable[..., tuple[Any, Any, Any]], now: Arrays, moved: Any, learned: Any
    ) -> Any:
        """What ``gradients_of`` says of a step's images, computed part after part and added."""
        if self.parts == 1:
            return gradients_of(now, moved)

        def body(index: Any, carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            def own(values: jax.Array) -> jax.Array:
                # Of what lies on each device, so that nothing moves between them.
                parts = values.reshape(self.devices.replicas, self.parts, -1, *values.shape[1:])
                part = lax.dynamic_index_in_dim(parts, index, 1, keepdims=False)
                return part.reshape(-1, *values.shape[1:])

            gradients, moved, sums = carry
            part = {name: jax.tree.map(own, each) if name in PER_IMAGE else each for name, each in now.items()}
            more, moved, new = gradients_of(part, moved)
            return [one + other for one, other in zip(gradients, more, strict=True)], moved, sums + new

        carry = [jnp.zeros_like(value) for value in learned], moved, jnp.zeros(3)
        if self.loops:
            return lax.fori_loop(0, self.parts, body, carry)
        for index in range(self.parts):
            carry = body(index, carry)
        return carry

    def _divided_variables(self) -> tuple[list[Any], list[Any]]:
        """The variables that learn now, and all others."""
        learning = self.model.trainable_variables
        return learning, [v for v in self.model.variables if all(v is not each for each in learning)]

    def _placed(self, variable: Any) -> jax.Array:
        """A variable's value on all devices."""
        value = variable.value
        if value.sharding == self.devices.replicated:
            return value
        return self.devices.put(np.asarray(value) if self.devices.workers > 1 else value, self.devices.replicated)

    def _inputs(self, images: Any, truth: Any, now: Arrays) -> tuple[Any, Any, Any]:
        """What a step trains on: pixels ``[B, *side, C]``, targets and labels ``[B, K]``."""
        rows, mixing = now["rows"], now.get("mixing")
        own = now["pixels"] if self._feed else images[rows]  # [B, H, W, C]
        known = truth[rows]  # [B, 2, K]
        if own.ndim == 2:
            pixels = own
        elif mixing is None:
            pixels = self._prepare(own, now["transforms"], None, None, *_later(now))
        else:
            others = now["others"] if self._feed else images[mixing["partners"]]
            shares = mixing["shares"][:, None, None]
            known = shares * known + (1 - shares) * truth[mixing["partners"]]
            pixels = self._prepare(own, now["transforms"], others, mixing, *_later(now))
        return pixels, known[:, 0], known[:, 1]

    def _compile_prediction(self, step: Arrays) -> Callable[[Arrays], np.ndarray]:
        variables = self.model.variables
        capacity = min(PREDICTED_AT_ONCE, self.steps_at_once)
        classes = int(self.model.output_shape[-1])

        def body(fixed: tuple[Any, Arrays, list[Any]], index: Any, logits: Any) -> Any:
            images, arrays, values = fixed
            now = _at(arrays, index)
            pixels = now["pixels"] if self._feed else images[now["rows"]]  # [B, H, W, C]
            model = self.model
            if "transforms" in now:
                pixels, model = (
                    self._prepare(pixels, now["transforms"], None, None, *_later(now)),
                    self.trunk,
                )
            with keras.StatelessScope(state_mapping=zip(variables, values, strict=True)):
                new = model(pixels, training=False)  # [B, K]
            return logits.at[index].set(new.astype(jnp.float32))

        predict = self._repeated(body)

        def run(arrays: Arrays) -> np.ndarray:
            steps = len(arrays["rows"])
            logits = self._resident(np.zeros((capacity, self.batch_size, classes), np.float32))
            fixed = self._images, self._on_devices(arrays, capacity), [self._placed(v) for v in variables]
            return np.asarray(predict(fixed, steps, logits))[:steps]

        return run


def _later(now: Arrays) -> tuple[Any, Any]:
    """What ``prepare`` does after the mixing: the boxes to blank and the change of light, each None for none."""
    return now.get("erased"), now.get("photometry")


def _at(arrays: Arrays, index: Any) -> Arrays:
    """The arrays of one step."""
    return jax.tree.map(lambda values: lax.dynamic_index_in_dim(values, index, keepdims=False), arrays)
