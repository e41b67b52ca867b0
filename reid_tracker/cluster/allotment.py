"""Which district of a site has which group of cameras, and how a group goes from one to another.

The front says where a group is to be and the districts tell where it is; each answer to a district says what is left to
do, so it does not matter which message is lost or comes twice, or who is started again in between. Nobody takes a group
on before the one that had it has told that it has let go, and a group talks to one district at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reid_tracker.cluster.charge import Charge
from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError

_NOBODY = ("", 0)


class Allotment:
    """The groups of a site and whose they are. Not thread-safe.

    Args:
        placed: district -> its groups -> their cameras, to begin with.
    """

    def __init__(self, placed: Mapping[str, Mapping[str, Sequence[CameraConfig]]]) -> None:
        self._charges = {
            group: Charge(group, district, 0, tuple(cameras))
            for district, groups in placed.items()
            for group, cameras in groups.items()
        }
        self._has: dict[str, frozenset[str] | None] = dict.fromkeys(placed)  # None: was not heard of
        self._sends_to: dict[str, Mapping[str, tuple[str, int]]] = {name: {} for name in placed}
        self.version = 0  # grows whenever a group is to be elsewhere, or has other cameras

    def move(self, group: str, to: str) -> None:
        """Have a group go to another district. Raises ConfigError: no such group or district."""
        if group not in self._charges:
            raise ConfigError(f"no group is called {group!r} (groups: {', '.join(self._charges)})")
        if to not in self._has:
            raise ConfigError(f"no district is called {to!r} (districts: {', '.join(self._has)})")
        charge = self._charges[group]
        if charge.associator != to:
            self._keep(replace(charge, associator=to, turn=charge.turn + 1))

    def hear(self, district: str, charges: Iterable[Charge], elsewhere: Mapping[str, tuple[str, int]]) -> None:
        """What a district says of the groups that it has or gave away, and whose it takes the others to be."""
        charges = tuple(charges)
        for each in charges:
            self._keep(self._believed(district, each))
        self._has[district] = frozenset(each.group for each in charges if not each.associator)
        if elsewhere != self._sends_to[district]:
            self._sends_to[district] = elsewhere
            for group, (associator, turn) in elsewhere.items():
                self._keep(self._believed(district, Charge(group, associator, turn)))

    def begins(self, district: str) -> tuple[Charge, ...]:
        """What a district begins with: the groups that it has, and whose the others are."""
        charges = self._charges.values()
        own = [each for each in charges if each.associator == district and not self._others_with(each.group, district)]
        others = [each for each in charges if each.associator != district]
        self._has[district] = frozenset(each.group for each in own)
        self._sends_to[district] = {each.group: (each.associator, each.turn) for each in others}
        return (*own, *others)

    def orders(self, district: str) -> tuple[Charge, ...]:
        """What a district is to give away or to know as another one's, and what to take on. It will be told so."""
        has, sends_to = self._has[district] or frozenset(), self._sends_to[district]
        others = (each for each in self._charges.values() if each.associator != district)
        give = [each for each in others if each.group in has or sends_to.get(each.group, _NOBODY)[0] != each.associator]
        take = [each for each in self._coming(district) if self._is_free(each.group)]
        self._has[district] = has.union(each.group for each in take)  # from now on nobody else may
        return (*give, *take)

    def cameras(self, district: str) -> list[CameraConfig]:
        """The cameras of all groups that a district has, or is to have, and is not to give away."""
        own = (charge for charge in self._charges.values() if charge.associator == district)
        return [camera for charge in own for camera in charge.cameras]

    def moved(self) -> frozenset[str]:
        """Cameras of groups that are not where they were in the beginning."""
        return frozenset(camera.id for charge in self._charges.values() if charge.turn for camera in charge.cameras)

    def groups(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """District -> its groups -> names of their cameras, as it is to be."""
        found: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in self._has}
        for group, charge in self._charges.items():
            found[charge.associator][group] = tuple(camera.id for camera in charge.cameras)
        return found

    def settled(self, *districts: str) -> bool:
        """Whether these districts (all, where none is named) have the groups that they are to have."""
        return not any(map(self._coming, districts or self._has))

    def _believed(self, district: str, told: Charge) -> Charge:
        """What is known of a group once a district has told of it."""
        known, whose = self._charges.get(told.group), told.associator or district
        if known is None or told.turn > known.turn:  # this front is a new one, and hears of it now
            known = known if known is not None and not told.cameras else told
            return replace(known, associator=whose, turn=told.turn)
        if not told.associator:  # is there, and may have to be given away: it goes on until then
            heeded = known.associator == district or not self._others_with(told.group, district)
            return replace(told, associator=known.associator, turn=known.turn) if heeded else known
        left = bool(told.cameras) and (told.turn, whose) == (known.turn, known.associator)
        return told if left and not self._is_there(known) else known

    def _keep(self, charge: Charge) -> None:
        known = self._charges.get(charge.group)
        if known is None or (known.associator, known.cameras) != (charge.associator, charge.cameras):
            self.version += 1
        self._charges[charge.group] = charge

    def _coming(self, district: str) -> list[Charge]:
        own = (charge for charge in self._charges.values() if charge.associator == district)
        return [charge for charge in own if not self._is_there(charge)]

    def _is_there(self, charge: Charge) -> bool:
        return charge.group in (self._has[charge.associator] or ())

    def _others_with(self, group: str, district: str) -> list[str]:
        return [name for name, has in self._has.items() if name != district and has is not None and group in has]

    def _is_free(self, group: str) -> bool:
        """Whether nobody has a group, as far as all have told."""
        return all(groups is not None and group not in groups for groups in self._has.values())
