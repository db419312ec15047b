"""A check asks an agreement and finds terms without effect, rights that nobody can use or give, and
acts that are reserved to nobody.

    effects   for each term a question whose answer it changes
    emptied   rights whose every use other terms forbid
    fallen    rights that fall before they end, because their giver lost its own
    outlived  what stays reserved to parties whose own right has ended
    reserved  what is reserved to nobody
    ungiven   what a licence carries that its licensor could never give
    coming    events that may yet come, supposed before it is said that no answer ever changes
"""
