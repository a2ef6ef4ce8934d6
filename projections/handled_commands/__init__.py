"""What did each command of a user yield?"""
